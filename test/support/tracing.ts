/** A program that CRIU cannot dump: its child is traced by it. Once it is, /tmp/traced is there. */
export const tracing = `
import ctypes, os, signal, time
libc = ctypes.CDLL(None)
child = os.fork()
if child == 0:
    libc.ptrace(0, 0, 0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
os.waitpid(child, os.WUNTRACED)
open('/tmp/traced', 'w').close()
time.sleep(600)
`;
