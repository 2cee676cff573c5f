# Short names for what developers do often; the work is done by meson, ./test and scripts/.
.POSIX:
.PHONY: all test quick lint bench soak clean help

all:
	@scripts/build release meterhouse

help:
	@echo "make        build/meterhouse"
	@echo "make test   all tests (what CI runs: ./test)"
	@echo "make quick  the tests of every minute (./test --quick)"
	@echo "make lint   format, clang-tidy, the rules of the house"
	@echo "make bench  each figure beside its peer, measured in the same run"
	@echo "make soak   fuzzers and properties for long (SOAK_SECONDS=60 a program)"
	@echo "make clean  removes build folders, keeps data/"

test:
	@./test

quick:
	@./test --quick

lint:
	@scripts/lint

bench:
	@scripts/bench

soak:
	@scripts/soak

clean:
	rm -rf build build-asan build-clang
