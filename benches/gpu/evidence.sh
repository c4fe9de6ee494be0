# shellcheck shell=bash disable=SC2154
# Sourced by `run`: runs commands with a limit each and keeps what they leave, whatever happens to the next.
#
# All results lie in the folder `results`. A machine may give back few files, so OUT gets at most these: table.md, parity.md,
# doctor.tsv (or device.log), run.log, and all.tar.xz (all.tar.gz where there is no xz) with everything. They are written as
# each part ends, every twenty seconds on the way, and at the end, also on TERM, INT and HUP.
#
# Set by `run`: out, work, results, seconds, slack, device, commit.

# What a machine gives back of one file at most, with a margin.
most_bytes=$((${MATSSL_GPU_ARCHIVE_MIB:-15} << 20))
# Of all tails of failed logs together, and of the table, in characters: a machine shows the last 12,000.
most_tails=6000
most_table=5500

rows=$results/table.tsv
: >"$rows"
failed=()
running=
child=
background=
published=0
part_end=$seconds

# say TEXT: to standard error and run.log.
say() {
  printf '%4d s  %s\n' "$SECONDS" "$1" | tee -a "$results/run.log" >&2
}

# row PART WHAT FIGURE TARGET VERDICT
row() {
  local IFS=$'\t'
  printf '%s\n' "$*" >>"$rows"
}

# The device, as nvidia-smi shows it.
describe() {
  [[ $device == cpu ]] && { echo 'no GPU (a trial on the CPU)'; return; }
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader -i "${device#cuda:}" 2>/dev/null ||
    echo 'a GPU that nvidia-smi does not show'
}
described=$(describe)

# What a log complains of: an error's first line, else a panic's, else the last line.
complaint() {
  local line
  line=$(awk '/^(Error|error)/ && !error { error = $0 } /panicked at/ && !panic { getline panic } NF { last = $0 }
    END { print error ? error : panic ? panic : last }' "$1" | tr '\t|' '  ')
  printf '%s' "${line:0:160}"
}

# attempt NAME LIMIT COMMAND…: runs it for LIMIT × slack seconds at most, and no longer than its part or the whole may take,
# with its output in results/NAME.log. Sets `why` if it fails, and returns its code.
attempt() {
  local name=$1 limit=$(($2 * slack)) left status start
  shift 2
  left=$((part_end < seconds ? part_end - SECONDS : seconds - SECONDS))
  if ((left < 5)); then
    why='not run: no time left'
    say "$name: $why"
    return 124
  fi
  ((limit > left)) && limit=$left
  running=$name
  say "$name, at most $limit s"
  start=$SECONDS
  timeout -k 5 "$limit" "$@" >"$results/$name.log" 2>&1 </dev/null &
  child=$!
  while kill -0 "$child" 2>/dev/null; do
    sleep 0.2
    ((SECONDS - published < 20)) || publish
  done
  wait "$child"
  status=$?
  child=
  case $status in
    0) why= ;;
    124 | 137) why="not run to its end: stopped after $limit s" ;;
    *) why="failed ($status): $(complaint "$results/$name.log")" ;;
  esac
  ((status == 0)) || failed+=("$name")
  say "$name: ${why:-done} ($((SECONDS - start)) s)"
  return "$status"
}

# part LIMIT FUNCTION [ARGUMENT…]: all of a part, in LIMIT × slack seconds. Returns the function's code.
part() {
  local status
  part_end=$((SECONDS + $1 * slack))
  "${@:2}"
  status=$?
  part_end=$seconds
  publish
  return "$status"
}

# The heading and the rows.
table() {
  printf '%s, %s UTC, commit %s; %s s\n\n' "$described" "$(date -u '+%Y-%m-%d %H:%M')" "$commit" "$SECONDS"
  echo '| part | what | figure | to reach | |'
  echo '| --- | --- | ---: | ---: | --- |'
  sed 's/\t/ | /g; s/^/| /; s/$/ |/' "$rows"
}

# place FILE NAME: into OUT, whole or not at all.
place() {
  cp "$1" "$out/$2.part" && mv -f "$out/$2.part" "$out/$2"
}

# Everything, without weights; the largest pictures stay behind if it would be too large.
archive() {
  local compress=(gzip -6) name=all.tar.gz excess
  command -v xz >/dev/null && compress=(xz -1) name=all.tar.xz
  touch "$work/left-out"
  while :; do
    tar -C "$results" --exclude='*.safetensors' --no-wildcards --anchored --exclude-from="$work/left-out" -cf - . \
      2>/dev/null | "${compress[@]}" >"$out/$name.part"
    excess=$(($(stat -c %s "$out/$name.part") - most_bytes))
    ((excess > 0)) || break
    # Pictures and pages before all else.
    find "$results" -type f ! -name '*.safetensors' -printf '%s\t./%P\n' |
      awk '{ print ($0 ~ /\.(png|jpg|svg|html)$/ ? 0 : 1) "\t" $0 }' | sort -t$'\t' -k1,1n -k2,2rn |
      awk -F'\t' -v excess="$excess" -v list="$work/left-out" '
        BEGIN { while ((getline path < list) > 0) known[path] = 1 }
        !known[$3] && left < excess { print $3; left += $2 }' >"$work/more"
    [[ -s $work/more ]] || break
    cat "$work/more" >>"$work/left-out"
    sed 's/^/left out of the archive, too large: /' "$work/more" >>"$results/run.log"
  done
  mv -f "$out/$name.part" "$out/$name"
}

# Brings OUT up to date.
publish() {
  published=$SECONDS
  texts
  archive
  place "$results/run.log" run.log
}

# All of OUT but the archive, which takes longer.
texts() {
  {
    table
    # Of every layer.
    [[ ! -s $results/layers.md ]] || { printf '\n'; cat "$results/layers.md"; }
  } >"$results/table.md"
  local name
  for name in table.md run.log; do place "$results/$name" "$name"; done
  # The doctor and the parity test write theirs in OUT themselves.
  for name in doctor.tsv parity.md; do [[ ! -s $out/$name ]] || cp "$out/$name" "$results/$name"; done
  [[ -s $out/doctor.tsv || ! -s $results/device.log ]] || place "$results/device.log" device.log
}

# The ends of the failed logs, an equal share of the characters each.
tails() {
  ((${#failed[@]})) || return 0
  local name text share
  share=$((most_tails / ${#failed[@]} - 60))
  ((share > 150)) || share=150
  for name in "${failed[@]:0:28}"; do
    text=$(tail -n 15 "$results/$name.log" | cut -c1-400)
    ((${#text} <= share)) || text=…${text: -share}
    printf '\n== %s.log ==\n%s\n' "$name" "$text"
  done
}

# The table, cut where it would push the rest out of what a machine shows.
short_table() {
  local text cut
  text=$(table)
  if ((${#text} > most_table)); then
    cut=${text:0:most_table - 100}
    text=${cut%$'\n'*}$'\n'"(more rows: table.md)"
  fi
  printf '\n%s\n' "$text"
}

# On TERM or INT, and at the end.
finish() {
  local status=$?
  # A command that is being started has the traps still.
  ((BASHPID == $$)) || exit "$status"
  # Nobody may be reading any more.
  trap '' TERM INT HUP PIPE
  if ((status == 143)); then
    [[ -z $child ]] || failed+=("$running")
    row run "stopped by a signal${child:+ during $running}" – – missed
    say 'stopped by a signal'
  fi
  [[ -z $background ]] || kill "$background" 2>/dev/null
  [[ -z $child ]] || kill "$child" 2>/dev/null
  # Whoever sent the signal may not wait for the archive.
  texts
  tails
  short_table
  archive
  place "$results/run.log" run.log
  # By then it had time to end by itself. `timeout` leads a group of its own.
  [[ -z $child ]] || kill -KILL -- "-$child" 2>/dev/null
  rm -rf "$work"
  ((status == 0 && ${#failed[@]} > 0)) && exit 3
  exit "$status"
}
trap finish EXIT
trap 'exit 143' TERM INT HUP
