# The same commands by shorter names.
.PHONY: audit demo test slow check prove prove-transfer tutorial
demo:
	sh scripts/demo
test:
	sh scripts/test
slow:
	sh scripts/test -m slow
check:
	sh scripts/check
# Needs https://pypi.org; fails when it could not check every pinned package.
audit:
	sh scripts/audit
# Hours: crash tests, fuzzing and the full tables; commit the dated results it writes.
prove:
	sh scripts/test -m prove
# Hours: what fine-tuning gains and costs. DATA holds base/manifest.jsonl, TEXTS the general sentences; it resumes.
prove-transfer:
	.venv/bin/medstt prove training/proof/transfer.toml --data $(DATA) --texts $(TEXTS) --out proof/transfer \
	  --results training/results
# An hour: training/tutorial/README.md, command by command.
tutorial:
	sh scripts/tutorial
