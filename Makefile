# kafka_events: PGXS build. `make demo` and `make test` do everything else.

MODULE_big = kafka_events
EXTENSION = kafka_events
DATA = $(wildcard sql/kafka_events--*.sql)
PGFILEDESC = "kafka_events - Kafka topics into tables and SQL functions"
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*/*.c)))

PG_CPPFLAGS = -Isrc $(shell pkg-config --cflags rdkafka libcurl jansson)
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Werror
# OpenSSL where PostgreSQL is built with it
SHLIB_LINK = $(shell pkg-config --libs rdkafka libcurl jansson) $(filter -lcrypto,$(LIBS))

REGRESS = connect tls subscribe patterns mapping registry ddl control failures dlq privileges outbox views
REGRESS_OPTS = --inputdir=.

ISOLATION = $(patsubst test/isolation/specs/%.spec,%,$(wildcard test/isolation/specs/*.spec))
ISOLATION_OPTS = --inputdir=test/isolation

# These bring their own PostgreSQL and Kafka and need nothing but make.
HARNESS = demo test lint valgrind asan matrix assertions bench storm package

ifneq ($(filter $(HARNESS),$(MAKECMDGOALS)),)

.PHONY: $(HARNESS)

demo:
	@test/demo/run

# STAGES="regress tap" runs only these
test:
	@test/run $(STAGES)

lint:
	@test/run lint

valgrind:
	@test/valgrind/run

# TESTS="test/t/080_outbox.pl" runs only these TAP files
asan:
	@test/asan/run $(TESTS)

matrix:
	@test/matrix/run

assertions:
	@test/assertions/run

package:
	@test/package/run

bench:
	@test/bench/run

# SEEDS="1 2 3" chooses the storms, SECONDS=300 how long each is
storm:
	@test/storm/run $(or $(SECONDS),300) $(or $(SEEDS),1 2 3 4 5 6 7 8 9 10)

else

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(OBJS) $(OBJS:.o=.bc): $(wildcard src/*/*.h)

endif
