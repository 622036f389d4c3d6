# The agent of one private containerd: its process, its socket, its command line.
# shellcheck shell=bash
# shellcheck disable=SC2154 # the caller sets run, root, prefix and checkout, and sources instance.sh

# Whoever wants a registry in the agent's process sets daemon to `up`, and daemon_env to its variables; or registry to a
# port of loopback, where it then serves without keys.
daemon_env=()

agent_socket() { printf '%s' "$run/agent.sock"; }
registry_url() { printf 'http://127.0.0.1:%s' "$registry"; }
agent_log() { printf '%s' "$root/log/agent.log"; }

# ramet ARGUMENT...: the checkout's own command line, talking to this agent.
ramet() { RAMET_SOCKET=$(agent_socket) node "$checkout/dist/bin/ramet.js" "$@"; }

# agent_pid: prints the pid of this instance's agent; fails when it does not run.
agent_pid() {
  local pid identity
  read -r pid identity _ 2>/dev/null <"$run/agent.pid" || return 1
  [ -n "$identity" ] && [ "$(process_identity "$pid")" = "$identity" ] && printf '%s' "$pid"
}

# agent_is_current: whether the running agent was started from what is built now.
agent_is_current() {
  local pid identity build
  agent_pid >/dev/null && read -r pid identity build <"$run/agent.pid" && [ "$build" = "$(wanted_build)" ]
}

built() { cut -d' ' -f1 "$checkout/dist/.build-key"; }

# Of an agent with a registry, the port as well: one without is another program.
wanted_build() { printf '%s%s' "$(built)" "${registry:+:$registry}"; }

# start_agent: starts the agent beside the containerd unless it runs already; one of an older build is replaced.
start_agent() {
  if agent_is_current && ramet info >/dev/null 2>&1; then
    printf 'runs already, pid %s\n' "$(agent_pid)"
    return
  fi
  stop_agent
  refuse_taken_ports
  launch_agent
  wait_for_agent
  printf 'pid %s, %s\n' "$(agent_pid)" "$(agent_socket)"
}

# The registry listens on its port, and for nodes on the next one.
refuse_taken_ports() {
  local port
  [ -n "${registry:-}" ] || return 0
  for port in "$registry" "$((registry + 1))"; do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      fail "port $port of 127.0.0.1 is taken" \
        "see who listens with \`ss -ltnp sport = :$port\`; stop that, or choose another port with --port"
    fi
  done
}

launch_agent() {
  local log pid fd
  log=$(agent_log)
  [ ! -f "$log" ] || [ "$(stat -c %s "$log")" -lt 10000000 ] || mv "$log" "$log.1"
  if [ -n "${registry:-}" ]; then
    daemon=up
    daemon_env=(RAMET_REGISTRY_KEYS=off RAMET_REGISTRY_DATA_DIR="$root/registry"
      RAMET_REGISTRY_LISTEN="127.0.0.1:$registry" RAMET_REGISTRY_NODES_LISTEN="127.0.0.1:$((registry + 1))")
  fi
  (
    for fd in /proc/"$BASHPID"/fd/*; do
      fd=${fd##*/}
      [ "$fd" -le 2 ] || eval "exec $fd>&-"
    done
    cd /
    enter env UV_THREADPOOL_SIZE=16 RAMET_RUN_DIR="$run" RAMET_DATA_DIR="$root" RAMET_PREFIX="$prefix" "${daemon_env[@]}" \
      setsid node "$checkout/dist/bin/rametd.js" "${daemon:-agent}"
  ) </dev/null >>"$log" 2>&1 &
  pid=$!
  printf '%s %s %s\n' "$pid" "$(process_identity "$pid")" "$(wanted_build)" >"$run/agent.pid"
}

# Recovery comes before the first answer, and takes longer the more sandboxes there are.
wait_for_agent() {
  local deadline=$((SECONDS + 120))
  until [ -S "$(agent_socket)" ] && ramet info >/dev/null 2>&1 && registry_answers; do
    [ -n "$(agent_pid)" ] || fail 'the agent ended at once' "$(tail -n 3 "$(agent_log)")"
    [ "$SECONDS" -lt "$deadline" ] || fail 'the agent does not answer after 120 seconds' "see $(agent_log)"
    pause_briefly
  done
}

# Only a ready node is given work.
registry_answers() {
  [ -z "${registry:-}" ] || ramet node ls --registry "$(registry_url)" --json 2>/dev/null | grep -q '"health": *"ready"'
}

# stop_agent: its sandboxes run on until the containerd is stopped.
stop_agent() {
  local pid
  if pid=$(agent_pid); then end_processes 20 "$pid"; fi
  rm -f "$run/agent.pid"
}
