// Allocates, gives all of it back to the kernel and allocates again: whatever make gives has to be zeros, and what is
// kept has to stay. Reads a line from its input for each round, and answers "ok" or what is wrong.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
)

const (
	kept    = 16
	passing = 70
)

var sizes = []int{24, 900, 5000, 33000, 70000, 300000, 1 << 20}

var zeros [1 << 20]byte

func block(index int, what string) ([]byte, error) {
	made := make([]byte, sizes[index%len(sizes)])
	if !bytes.Equal(made, zeros[:len(made)]) {
		return nil, fmt.Errorf("%d bytes of %s are not zeros", len(made), what)
	}
	for at := range made {
		made[at] = byte(index%255 + 1)
	}
	return made, nil
}

func check(index int, held []byte) error {
	if !bytes.Equal(held, bytes.Repeat([]byte{byte(index%255 + 1)}, sizes[index%len(sizes)])) {
		return fmt.Errorf("block %d has changed", index)
	}
	return nil
}

// Blocks of all sizes in several threads, after what is passing has been given back.
func churn(held [][]byte) error {
	var group sync.WaitGroup
	failures := make(chan error, 4)
	for worker := 0; worker < cap(failures); worker++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for index := 0; index < passing; index++ {
				if _, err := block(index, "what is passing"); err != nil {
					failures <- err
					return
				}
			}
		}()
	}
	group.Wait()
	debug.FreeOSMemory()
	for index := range held {
		if err := check(index, held[index]); err != nil {
			return err
		}
	}
	select {
	case err := <-failures:
		return err
	default:
		return nil
	}
}

func main() {
	held := make([][]byte, kept*len(sizes))
	var err error
	for index := range held {
		if held[index], err = block(index, "what is kept"); err != nil {
			break
		}
	}
	for input := bufio.NewScanner(os.Stdin); ; {
		for turn := 0; turn < 3 && err == nil; turn++ {
			err = churn(held)
		}
		if err == nil {
			fmt.Println("ok")
		} else {
			fmt.Println(err)
		}
		if !input.Scan() {
			return
		}
	}
}
