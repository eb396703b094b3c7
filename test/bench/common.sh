# shellcheck shell=bash disable=SC2034
# Sourced by the benchmarks: a session of PostgreSQL that stays, topics, and
# passes over them.  PGHOST, PGUSER and KAFKA_EVENTS_BROKER say where; see
# run, which starts both.
. "$(dirname "${BASH_SOURCE[0]}")/../setup/common.sh"

events=${EVENTS:-1000000}
runs=${RUNS:-3}
partitions=${PARTITIONS:-4}
broker=${KAFKA_EVENTS_BROKER:?}

# What the next pass is about
topic=events
workers=1
batch_size=1000
sync=off
run=1

open_session()
{
	coproc psql {
		exec psql -X -q -A -t -F ' ' -v ON_ERROR_STOP=1 2>&1
	}
	exec 3>&"${psql[1]}" 4<&"${psql[0]}"
	ask "SET client_min_messages = error"
	ask "SET synchronize_seqscans = off"
	ask "SET max_parallel_workers_per_gather = 0"
	ask "SET jit = off"
}

# The answer to one query.  No transaction is open afterwards.
ask()
{
	local line lines=()

	printf '%s\n;\n\\echo end of answer\n' "$1" >&3
	while IFS= read -r line <&4; do
		if [ "$line" = 'end of answer' ]; then
			[ ${#lines[@]} -eq 0 ] || printf '%s\n' "${lines[@]}"
			return
		fi
		lines+=("$line")
	done
	die "${lines[*]}"
}

# The same without an answer.
tell()
{
	ask "$1" >/dev/null
}

# The answer as a table.
show()
{
	printf '%s\n' '\pset tuples_only off' '\pset format aligned' \
		'\pset footer off' >&3
	ask "$1"
	printf '%s\n' '\pset tuples_only on' '\pset format unaligned' >&3
}

# record NAME 'QUERY': shows it and, if FIGURES names a page, writes it there as
# a table, between the lines "<!-- NAME -->" and "<!-- end of NAME -->", with
# when and where it was taken.
record()
{
	local name=$1 query=$2

	show "$query"
	[ -n "${FIGURES:-}" ] || return 0
	{
		printf '%s\n' '\pset tuples_only off' '\pset footer off' \
			"\\pset fieldsep '|'" >&3
		ask "$query" | awk -F '|' '{
				line = "|"; rule = "|"
				for (i = 1; i <= NF; i++) {
					line = line " " $i " |"; rule = rule " --- |"
				}
				print line
				if (NR == 1) print rule
			}'
		printf '%s\n' '\pset tuples_only on' "\\pset fieldsep ' '" >&3
		echo
		where_and_when
	} >"$FIGURES.new"
	sed -i -e "/^<!-- $name -->\$/,/^<!-- end of $name -->\$/ {
			/^<!-- $name -->\$/ r $FIGURES.new
			/^<!-- /! d
		}" "$FIGURES"
	rm "$FIGURES.new"
}

where_and_when()
{
	echo "($(date +%F), PostgreSQL $(ask 'SHOW server_version' | cut -d ' ' -f 1)," \
		"librdkafka $(pkg-config --modversion rdkafka), $(nproc) cores," \
		"load $(cut -d ' ' -f 1 /proc/loadavg))"
}

wait_for()
{
	local query=$1 expected=$2 tries

	for ((tries = 0; tries < 2400; tries++)); do
		[ "$(ask "$query")" != "$expected" ] || return 0
		sleep 0.05
	done
	die "still not $expected: $query"
}

# make_topic NAME [OPTIONS OF THE TOOL]
make_topic()
{
	"$top/test/kafka/tool" topics --bootstrap-server "$broker" \
		--create --topic "$@" --partitions "$partitions" >/dev/null
}

# Server and tables, unless an earlier benchmark has made them.
prepare()
{
	open_session
	[ "$(ask "SELECT to_regclass('passes')")" = '' ] || return 0
	tell "\\i $top/test/bench/schema.sql"
	tell "CREATE SERVER bench FOREIGN DATA WRAPPER kafka_events OPTIONS
		(bootstrap_servers '$broker', service_name 'bench-$$', workers '1',
		 synchronous_commit 'off')"
}

# prepare_topic NAME COUNT; likewise
prepare_topic()
{
	topic=$1
	events=$2
	kcat -L -b "$broker" -t "$topic" | grep -q 'Unknown topic' || return 0
	make_topic "$topic"
	"$top/test/bench/events" "$events" |
		kcat -P -b "$broker" -t "$topic" -X linger.ms=20 \
			-X compression.codec=lz4
}

server_option()
{
	tell "ALTER SERVER bench OPTIONS (SET $1 '$2')"
}

# with WORKERS SYNCHRONOUS_COMMIT
with()
{
	workers=$1
	sync=$2
	server_option workers "$workers"
	server_option synchronous_commit "$sync"
	tell "SET synchronous_commit = $sync"
}

# Subscribe and wait until all partitions are there and at their end.
subscribe()
{
	tell "SELECT kafka_subscribe('$topic', start_from => 'latest', $1)"
	wait_for "SELECT cardinality(workers())" "$workers"
	wait_for "SELECT count(*) FROM kafka_consumer_lag
		WHERE topic = '$topic' AND role = 'main' AND status = 'running'
		AND lag_messages = 0" "$partitions"
}

unsubscribe()
{
	tell "SELECT kafka_unsubscribe('$topic')"
}

# Consume the topic from its start, all of it.  Prints CPU seconds of all
# threads and of the library's, and peak memory of a process: anonymous, files.
drain()
{
	local pids before after progress=-1 last still=0 anon=0 file=0

	pids=$(ask "SELECT workers()")
	before=$(ask "SELECT * FROM cpu_of('$pids')")
	tell "SELECT kafka_consumer_seek('$topic', \"position\" => 'earliest')"
	while [ "$progress" != "$events" ]; do
		sleep 0.05
		last=$progress
		read -r progress anon file < <(ask "SELECT sum(next_offset),
				greatest($anon, memory_of('$pids', 'RssAnon')),
				greatest($file, memory_of('$pids', 'RssFile'))
			FROM kafka_events.positions
			WHERE topic = '$topic'")
		still=$((progress == last ? still + 1 : 0))
		[ "$still" -lt 600 ] || die "stuck at $progress messages"
	done
	after=$(ask "SELECT * FROM cpu_of('$pids')")
	awk '{ print $3 - $1, $4 - $2 }' <<<"$before $after"
	echo "$anon $file"
}

# consume PATH TABLE 'ARGUMENTS OF kafka_subscribe'
consume()
{
	local path=$1 table=$2 figures

	# twice: a pass that was interrupted may have left messages
	tell "TRUNCATE $table"
	subscribe "$3, batch_size => $batch_size"
	tell "TRUNCATE $table"
	tell CHECKPOINT
	figures=$(drain)
	# shellcheck disable=SC2086 # words
	set -- $figures
	tell "INSERT INTO passes
		SELECT 'consume', '$path', $run, $workers, $batch_size, '$sync', rows,
			   seconds, $1 * 1e6 / $events, $2 * 1e6 / $events, $3, $4
		FROM filling_of('$table')"
	unsubscribe
}

# reference PATH 'STATEMENT': what passes of this run are compared with
reference()
{
	tell CHECKPOINT
	tell "SELECT cpu AS cpu_before, clock_timestamp() AS began
		FROM cpu_of(ARRAY[pg_backend_pid()]) \\gset"
	tell "$2"
	tell "INSERT INTO passes (kind, path, run, sync, rows, seconds, cpu)
		SELECT 'reference', '$1', $run, '$sync', $events,
			   extract(epoch FROM clock_timestamp() - :'began'),
			   (cpu - :cpu_before) * 1e6 / $events
		FROM cpu_of(ARRAY[pg_backend_pid()])"
}
