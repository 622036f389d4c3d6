#!/usr/bin/env python3
"""A small reinforcement-learning environment that lives in one long-running process.

A pole stands on a cart in gusty wind; a policy pushes the cart left or right, and a step is worth up to 1:
the more, the straighter the pole and the closer the cart to the middle. Every step renders a 128x128 RGB picture into the replay history, as an agent that
learns from pixels would keep it: 48 KiB a step, in memory only. Every 1,000 steps the state without that
history is saved to a file, from which a new process can go on.

  env.py serve                     run the environment; takes commands on localhost:7000
  env.py step N [--policy NAME]    take N steps
  env.py state                     where it is
  env.py digest N                  SHA-256 of the first N steps' history, computed from memory
  env.py policies                  the policies' names

Each command but serve prints one line of JSON.
"""

import hashlib
import json
import os
import socket
import sys
import time

ADDRESS = ("127.0.0.1", 7000)
STATE_FILE = os.path.expanduser("~/rl-env.state.json")
SAVE_EVERY = 1_000
STEPS_AT_ONCE_MAX = 100_000
CONNECT_SECONDS_MAX = 20

# A policy is a linear controller: the cart is pushed right if weights · (x, speed, angle, spin) is positive.
POLICIES = {
    "balanced": (0.05, 0.30, 1.0, 0.60),
    "eager": (0.05, 0.30, 1.0, 0.05),
    "calm": (0.0, 0.0, 0.3, 1.0),
    "centered": (0.40, 0.60, 1.0, 0.80),
    "upright": (0.0, 0.0, 1.0, 0.0),
    "leftist": (0.10, 0.20, 1.0, 0.4, -0.10),
    "rightist": (0.10, 0.20, 1.0, 0.4, 0.10),
    "contrary": (0.0, 0.0, -0.2, -1.0),
}


class Environment:
    """The cart-pole of Barto, Sutton and Anderson (1983), with wind."""

    GRAVITY, CART_KG, POLE_KG, HALF_POLE_M = 9.8, 1.0, 0.1, 0.5
    PUSH_N, GUST_N, SECONDS = 10.0, 15.0, 0.02
    X_MAX, ANGLE_MAX = 2.4, 0.2095
    SIDE = 128

    def __init__(self):
        import numpy

        self.np = numpy
        self.random = numpy.random.Generator(numpy.random.PCG64(2026))
        self.step_count, self.episodes, self.reward = 0, 0, 0.0
        self.transitions = []
        self.frames = []
        self.state = self.fresh_state()

    def fresh_state(self):
        return self.random.uniform(-0.05, 0.05, 4)

    def step(self, policy):
        weights = self.np.array(policy[:4])
        bias = policy[4] if len(policy) > 4 else 0.0
        action = 1 if float(weights @ self.state) + bias > 0 else 0
        self.state = self.moved(action)
        fell = abs(self.state[0]) > self.X_MAX or abs(self.state[2]) > self.ANGLE_MAX
        self.transitions.append((*map(float, self.state), action, bool(fell)))
        self.frames.append(self.rendered())
        self.step_count += 1
        if fell:
            self.episodes += 1
            self.state = self.fresh_state()
        else:
            self.reward += 1 - abs(self.state[0]) / self.X_MAX / 2 - abs(self.state[2]) / self.ANGLE_MAX / 2

    def moved(self, action):
        np = self.np
        x, speed, angle, spin = self.state
        force = (self.PUSH_N if action else -self.PUSH_N) + self.GUST_N * self.random.standard_normal()
        total, pole = self.CART_KG + self.POLE_KG, self.POLE_KG * self.HALF_POLE_M
        thrust = (force + pole * spin**2 * np.sin(angle)) / total
        spin_change = (self.GRAVITY * np.sin(angle) - np.cos(angle) * thrust) / (
            self.HALF_POLE_M * (4 / 3 - self.POLE_KG * np.cos(angle) ** 2 / total)
        )
        speed_change = thrust - pole * spin_change * np.cos(angle) / total
        change = np.array([speed, speed_change, spin, spin_change])
        return self.state + self.SECONDS * change

    def rendered(self):
        """What a camera sees: sky with sensor noise, the ground, the cart and the pole."""
        np, side = self.np, self.SIDE
        frame = self.random.integers(150, 166, (side, side, 3), dtype=np.uint8)
        frame[side * 3 // 4 :] = (60, 120, 60)
        column = int((self.state[0] / self.X_MAX + 1) / 2 * (side - 1))
        frame[side * 3 // 4 - 6 : side * 3 // 4, max(column - 8, 0) : column + 8] = (30, 30, 30)
        for height in range(48):
            x = column + round(height * float(np.sin(self.state[2])))
            if 0 <= x < side:
                frame[side * 3 // 4 - 6 - height, x] = (200, 40, 40)
        return frame

    def digest(self, steps):
        """SHA-256 of the first steps as they are in memory: transitions and pictures."""
        total = hashlib.sha256()
        for transition, frame in zip(self.transitions[:steps], self.frames[:steps]):
            total.update(repr(transition).encode())
            total.update(frame)
        return total.hexdigest()

    def random_digest(self):
        state = json.dumps(self.random.bit_generator.state, sort_keys=True)
        return hashlib.sha256(state.encode()).hexdigest()

    def save(self, path):
        saved = {
            "step": self.step_count,
            "episodes": self.episodes,
            "reward": float(self.reward),
            "state": list(map(float, self.state)),
            "random": self.random.bit_generator.state,
        }
        with open(path + ".new", "w") as file:
            json.dump(saved, file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(path + ".new", path)

    def load(self, path):
        with open(path) as file:
            saved = json.load(file)
        self.step_count, self.episodes, self.reward = saved["step"], saved["episodes"], saved["reward"]
        self.state = self.np.array(saved["state"])
        self.random.bit_generator.state = saved["random"]


class Server:
    """Commands to the environment, one line of JSON each."""

    def __init__(self, environment):
        self.environment = environment
        self.commands = {"step": self.step, "state": self.state, "digest": self.digest}

    def step(self, count=1, policy="balanced"):
        if policy not in POLICIES:
            raise ValueError(f"no policy {policy!r}; there are {', '.join(POLICIES)}")
        if not 1 <= count <= STEPS_AT_ONCE_MAX:
            raise ValueError(f"steps must be 1 to {STEPS_AT_ONCE_MAX}")
        env = self.environment
        reward, episodes = env.reward, env.episodes
        for _ in range(count):
            env.step(POLICIES[policy])
            if env.step_count % SAVE_EVERY == 0:
                env.save(STATE_FILE)
        gained = {"policy": policy, "gained": round(float(env.reward - reward), 3), "falls": env.episodes - episodes}
        return {**gained, **self.state()}

    def state(self):
        env = self.environment
        return {
            "step": env.step_count,
            "reward": round(float(env.reward), 3),
            "episodes": env.episodes,
            "random": env.random_digest(),
            "replaySteps": len(env.frames),
            "replayBytes": sum(frame.nbytes for frame in env.frames),
            "pid": os.getpid(),
        }

    def digest(self, steps):
        held = len(self.environment.frames)
        if steps > held:
            raise ValueError(f"only {held} steps are in memory")
        return {"steps": steps, "digest": self.environment.digest(steps)}

    def answer(self, line):
        try:
            request = json.loads(line)
            return self.commands[request.pop("command")](**request)
        except (KeyError, TypeError, ValueError) as error:
            return {"error": str(error)}


def serve():
    environment = Environment()
    if os.path.exists(STATE_FILE):
        environment.load(STATE_FILE)
    server = Server(environment)
    listener = socket.create_server(ADDRESS)
    print(f"the environment is at step {environment.step_count}", flush=True)
    while True:
        connection, _ = listener.accept()
        with connection, connection.makefile("rw") as stream:
            for line in stream:
                stream.write(json.dumps(server.answer(line)) + "\n")
                stream.flush()


def connect():
    """Waits for a process that is about to serve."""
    deadline = time.monotonic() + CONNECT_SECONDS_MAX
    while True:
        try:
            return socket.create_connection(ADDRESS)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def ask(**request):
    """Sends one command to the process that serves; exit code 1 if there is none, or if it refuses."""
    try:
        with connect() as connection, connection.makefile("rw") as stream:
            stream.write(json.dumps(request) + "\n")
            stream.flush()
            answer = json.loads(stream.readline())
    except OSError as error:
        sys.exit(f"env.py: no environment at {ADDRESS[0]}:{ADDRESS[1]}: {error}")
    if "error" in answer:
        sys.exit(f"env.py: {answer['error']}")
    print(json.dumps(answer))


def main(arguments):
    match arguments:
        case ["serve"]:
            serve()
        case ["step", count]:
            ask(command="step", count=int(count))
        case ["step", count, "--policy", policy]:
            ask(command="step", count=int(count), policy=policy)
        case ["state"]:
            ask(command="state")
        case ["digest", steps]:
            ask(command="digest", steps=int(steps))
        case ["policies"]:
            print(json.dumps(list(POLICIES)))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
