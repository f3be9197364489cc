# SPDX-License-Identifier: GPL-2.0
#
# Make one TAP stream of the programs' own, between "@begin PROGRAM" and
# "@end PROGRAM STATUS", and of KUnit's results after "@kunit", each suite after
# "@suite NAME". A program that ends before its plan is a failed test. The runner
# of kselftest counts a program as one test, and knows nothing of KUnit.

function result(ok, name, rest) {
	total++
	if (!ok)
		failed++
	print (ok ? "ok " : "not ok ") total " " name rest
	fflush()
}

# "ok 12 name # SKIP reason", or "not ok ...", as a test of @who.
function renumber(line, who,	ok) {
	ok = line !~ /^not /
	sub(/^(not )?ok [0-9]+ *(- )?/, "", line)
	result(ok, who line, "")
	seen++
	if (!ok)
		own_failed++
}

BEGIN {
	print "TAP version 13"
}

/^@begin / {
	prog = $2
	plan = -1
	seen = 0
	own_failed = 0
	doing = ""
	print "# " prog
	next
}

/^@kunit/ {
	prog = "kunit"
	print "# kunit"
	next
}

/^@suite / {
	suite = $2
	suites++
	next
}

/^@end kunit / {
	if (!suites)
		result(1, "kunit", " # SKIP no results: the kernel has no KUnit, or the module no suites")
	next
}

/^@end / {
	if (plan < 0)
		result(0, prog ": did not start", ", status " $3)
	else if (seen < plan)
		result(0, prog ": ended in " doing, ", status " $3 " after " \
		       seen " of " plan " tests")
	else if ($3 != 0 && !own_failed)
		result(0, prog ": status " $3, "")
	if ($4 != "")
		print "#   " prog " took " $4 " s"
	next
}

prog == "kunit" {
	# the cases of a suite; what they print is theirs
	if ($0 ~ /^    (not )?ok /)
		renumber(substr($0, 5), "kunit: " suite ".")
	else if ($0 ~ /^    # .*(EXPECT|ASSERT|FAIL|Expected)/)
		print "#" $0
	next
}

/^TAP version/ { next }

/^1\.\.[0-9]+/ {
	plan = substr($0, 4) + 0
	next
}

/^(not )?ok [0-9]+/ {
	renumber($0, prog ": ")
	next
}

# what the harness says of each test, when there is nothing to say of it
/^#  RUN / {
	doing = $3
	next
}

/^# +(OK|FAIL) |^# Starting |^# (PASSED|FAILED): |^# Totals: |^# [0-9]+ skipped test|^# +SKIP / {
	next
}

{
	sub(/^#* */, "")
	print "#   " $0
	fflush()
}

END {
	if (!total)
		result(0, "no test has such a name", "")
	print "1.." total
	exit failed > 0
}
