# The same commands by shorter names.
.PHONY: demo test slow check prove
demo:
	sh scripts/demo
test:
	sh scripts/test
slow:
	sh scripts/test -m slow
check:
	sh scripts/check
# Hours: crash tests, fuzzing and the full tables; commit the dated results it writes.
prove:
	sh scripts/test -m prove
