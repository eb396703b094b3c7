# kafka_events: PGXS build. `make demo` and `make test` do everything else.

MODULE_big = kafka_events
EXTENSION = kafka_events
DATA = $(wildcard sql/kafka_events--*.sql)
PGFILEDESC = "kafka_events - Kafka topics into tables and SQL functions"
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*/*.c)))

PG_CPPFLAGS = -Isrc $(shell pkg-config --cflags rdkafka)
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Werror
SHLIB_LINK = $(shell pkg-config --libs rdkafka)

REGRESS =
REGRESS_OPTS = --inputdir=.

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(OBJS) $(OBJS:.o=.bc): $(wildcard src/*/*.h)
