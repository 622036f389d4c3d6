/*
 * Allocates in threads, lets the collector give the heap back to the kernel and allocates again: whatever a new array
 * has must be zeros, and what is kept has to stay. Reads a line from its input for each round, and answers "ok" or what
 * is wrong.
 */
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

final class Churn {
	private static final int THREADS = 4;
	private static final int KEPT = 21;
	private static final int PASSING = 28;
	private static final int[] SIZES = { 24, 900, 5000, 33_000, 70_000, 300_000, 1 << 20 };
	private static final byte[] ZEROS = new byte[1 << 20];

	private record Block(int index, String text, byte[] bytes) {
		static Block make(int index) {
			int size = SIZES[index % SIZES.length];
			byte[] bytes = new byte[size];
			expect(Arrays.equals(bytes, 0, size, ZEROS, 0, size), "a new array of " + size + " bytes is not zeros");
			Arrays.fill(bytes, valueOf(index));
			return new Block(index, "number " + index, bytes);
		}

		void check() {
			byte[] wanted = new byte[SIZES[index % SIZES.length]];
			Arrays.fill(wanted, valueOf(index));
			expect(Arrays.equals(bytes, wanted), "array " + index + " has changed");
			expect(text.equals("number " + index), "text " + index + " has changed");
		}

		private static byte valueOf(int index) {
			return (byte) (index % 255 + 1);
		}
	}

	/** What each thread has, of its own numbers. */
	private static final class Worker implements Runnable {
		private final int first;
		private final List<Block> kept;
		private List<Block> passing = List.of();

		Worker(int first) {
			this.first = first;
			kept = blocks(first, KEPT);
		}

		@Override
		public void run() {
			passing.forEach(Block::check);
			passing = blocks(first, PASSING);
			kept.forEach(Block::check);
		}

		void letGo() {
			passing.forEach(Block::check);
			passing = List.of();
		}

		private static List<Block> blocks(int first, int count) {
			List<Block> made = new ArrayList<>(count);
			for (int index = 0; index < count; index++)
				made.add(Block.make(first + index));
			return made;
		}
	}

	private static volatile String wrong;

	private static void expect(boolean holds, String otherwise) {
		if (!holds && wrong == null)
			wrong = otherwise;
	}

	/** What was allocated before a checkpoint is given back after it, and comes again. */
	private static void churn(Worker[] workers) throws InterruptedException {
		for (int turn = 0; turn < 3; turn++) {
			long before = Runtime.getRuntime().totalMemory();
			for (Worker worker : workers)
				worker.letGo();
			System.gc();
			expect(Runtime.getRuntime().totalMemory() < before, "the heap has not become smaller");
			runAll(workers);
		}
	}

	private static void runAll(Worker[] workers) throws InterruptedException {
		Thread[] threads = new Thread[workers.length];
		for (int index = 0; index < threads.length; index++) {
			threads[index] = new Thread(workers[index]);
			threads[index].start();
		}
		for (Thread thread : threads)
			thread.join();
	}

	public static void main(String[] arguments) throws IOException, InterruptedException {
		Worker[] workers = new Worker[THREADS];
		for (int index = 0; index < THREADS; index++)
			workers[index] = new Worker(1000 * index);
		runAll(workers);
		BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
		do {
			churn(workers);
			System.out.println(wrong == null ? "ok" : wrong);
		} while (input.readLine() != null);
	}
}
