#!/bin/bash
# "promtool check metrics" (Prometheus 2.42.0), the usual check of an exporter's
# page, passes a page on which one series stands three times with two values,
# and one whose family is torn apart by another family: exit code 0, no word.
# A stricter reader is no help with the first: the OpenMetrics reference parser
# (prometheus_client 0.26.0) refuses the torn family, but keeps one sample of
# the three, the first, and says nothing.  A test has to count series itself.
#
# Seen with Debian 12's prometheus 2.42.0+ds-5+deb12u1:
#   once      promtool passes  reference parser reads lag a=1 b=2
#   repeated  promtool passes  reference parser reads lag a=1
#   torn      promtool passes  reference parser refuses
#
# Exits with 1 when that is no longer so, with 2 when it cannot be tried.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

give_up()
{
	echo "cannot be tried: $1"
	exit 2
}

apt-get -q download prometheus=2.42.0+ds-5+deb12u1 >/dev/null 2>&1 ||
	give_up "no package prometheus 2.42.0+ds-5+deb12u1"
dpkg -x prometheus_*.deb prometheus
python3 -m venv venv
venv/bin/pip -q install prometheus_client==0.26.0 2>/dev/null ||
	give_up "no prometheus_client 0.26.0"

cat >once <<-'PAGE'
	# HELP lag Messages behind.
	# TYPE lag gauge
	lag{topic="a"} 1
	lag{topic="b"} 2
	# HELP up Whether it runs.
	# TYPE up gauge
	up 1
PAGE
cat >repeated <<-'PAGE'
	# HELP lag Messages behind.
	# TYPE lag gauge
	lag{topic="a"} 1
	lag{topic="a"} 1
	lag{topic="a"} 2
PAGE
cat >torn <<-'PAGE'
	# HELP lag Messages behind.
	# TYPE lag gauge
	lag{topic="a"} 1
	# HELP up Whether it runs.
	# TYPE up gauge
	up 1
	lag{topic="b"} 2
PAGE
cat >read.py <<-'PYTHON'
	import sys
	from prometheus_client.openmetrics.parser import text_string_to_metric_families
	try:
	    families = text_string_to_metric_families(open(sys.argv[1]).read() + '# EOF\n')
	    lags = [sample for family in families if family.name == 'lag'
	            for sample in family.samples]
	    print('reads lag', *(f"{lag.labels['topic']}={lag.value}" for lag in lags))
	except ValueError as error:
	    print('refuses')
	    print(error, file=sys.stderr)
PYTHON

for page in once repeated torn; do
	said=passes
	prometheus/usr/bin/promtool check metrics <$page >said 2>&1 || said=refuses
	[ ! -s said ] || said="complains: $(cat said)"
	echo "$page: promtool $said, reference parser $(venv/bin/python read.py $page 2>why)"
done | tee seen
cat >known <<-KNOWN
	once: promtool passes, reference parser reads lag a=1 b=2
	repeated: promtool passes, reference parser reads lag a=1
	torn: promtool passes, reference parser refuses
KNOWN
cmp -s seen known || exit 1
