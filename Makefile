# A plain machine with Debian 12, python3, gcc and make is enough: everything else is installed into .venv or, as root, by apt-get.
.PHONY: build demo test lint format pictures packages npm peers frr emulator newer-docker test-c tsan test-fuzz fuzz corpus test-py test-vm \
	test-deb soak bench screenshots docs man deb stubs clean
.NOTPARALLEL:

# Debian's interpreter where there is one, for it is built with optimisations, which another (pyenv's, say) often is not: then all
# that is Python takes half as long again. And the interpreter itself, not a version manager's shim, which answers differently in
# another folder.
PYTHON ?= $(shell for p in /usr/bin/python3 python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.version_info >= (3, 11) or sys.exit(1); print(sys.executable)' 2>/dev/null && break; done)

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK = 1

# Folders are in it too: one changes when a file in it is removed.
sources := $(shell find csrc engine bus -name __pycache__ -prune -o -print) meson.build meson.options pyproject.toml
c_files := $(wildcard csrc/*/*.[ch] csrc/include/*/*.h tests/c/*.[ch] tests/fuzz/*.[ch] benchmarks/*/*.[ch] benchmarks/*/*/*.[ch] examples/c/*.[ch])
typed := $(wildcard csrc engine bus tests benchmarks debian docs examples)

# What the tests run is a plain install, not an editable one: tests that change privileges and namespaces must not start a
# compiler on import.
build: .venv/.installed

.venv/.tools: pyproject.toml
	@test -n '$(PYTHON)' || { echo 'needed: Python 3.11 or later'; exit 1; }
	@$(PYTHON) -c 'import ensurepip, os, sys, sysconfig; os.path.exists(sysconfig.get_path("include") + "/Python.h") or sys.exit(1)' \
		2>/dev/null || .ci/need python3-venv python3-dev
	test -x .venv/bin/pip || { rm -rf build && $(PYTHON) -m venv --clear .venv; }
	pip install -q --upgrade 'pip>=25.1'
	pip install -q --group build
	@touch $@

.venv/.installed: .venv/.tools $(sources)
	pip install -q --no-build-isolation -C build-dir=build/python .
	@touch $@

.venv/.dev: .venv/.tools pyproject.toml
	pip install -q --group dev
	@touch $@

.venv/.docs: .venv/.tools pyproject.toml
	pip install -q --group docs
	@touch $@

.venv/.bench: .venv/.tools pyproject.toml
	pip install -q --group bench
	@touch $@

demo: build
	python examples/demo.py

test: lint test-c test-py

lint: build .venv/.dev
	ruff check
	ruff format --check
	mypy $(typed)
	@echo clang-format --dry-run -Werror
	@clang-format --dry-run -Werror $(c_files)

format: .venv/.dev
	ruff check --fix-only -q
	ruff format -q
	clang-format -i $(c_files)

# Of Debian, for the tests.
packages:
	@.ci/need iproute2 clang libclang-rt-dev pkgconf libzmq3-dev busybox-static chromium containernetworking-plugins crun debhelper docker.io \
		fish fonts-liberation graphviz groff-base mandoc podman runc systemd zsh

# For the example in Node, where there is one.
npm: build/npm/node_modules/zeromq
build/npm/node_modules/zeromq:
	@if command -v npm >/dev/null; then mkdir -p build/npm && npm install --silent --no-audit --no-fund --prefix build/npm zeromq@6; fi

# For the tests on other kernels.
emulator:
	@.ci/need qemu-system-x86 busybox-static kmod xz-utils

# A docker newer than Debian 12's, beside it: where it is, `make test` tests the gate with it too. 70 MB.
newer-docker: build/newer-docker/dockerd
build/newer-docker/dockerd: tests/docker/newer-docker .venv/.tools
	$< $(@D)

# What the benchmarks compare with. (pyroute2 is in .venv.)
peers:
	@.ci/need bird2 golang-go golang-github-vishvananda-netlink-dev containernetworking-plugins

# Another, which takes minutes: it is built, from Debian's source.
frr: build/frr/sbin/sharpd
build/frr/sbin/sharpd: benchmarks/bulk/peers/build-frr
	@.ci/need autoconf automake bison flex libcap-dev libelf-dev libjson-c-dev libreadline-dev libtool libyang2-dev pkgconf python3-dev \
		xz-utils
	$< build/frr

# The C library and its tests: with gcc, with gcc's sanitizers, and with clang and its sanitizers for the fuzz targets.
options = --werror -Dpython=false -Dtests=true
sanitized = -Db_sanitize=address,undefined -Db_lundef=false
meson_test = ninja --quiet -C $(1) && meson test -C $(1) --no-rebuild --print-errorlogs --timeout-multiplier 3

build/c/build.ninja: .venv/.tools
	@rm -rf $(@D)
	@CC=gcc meson setup $(@D) $(options) >/dev/null
build/asan/build.ninja: .venv/.tools
	@rm -rf $(@D)
	@CC=gcc meson setup $(@D) $(options) $(sanitized) >/dev/null
build/tsan/build.ninja: .venv/.tools
	@rm -rf $(@D)
	@CC=gcc meson setup $(@D) $(options) -Db_sanitize=thread -Db_lundef=false >/dev/null
build/fuzz/build.ninja: .venv/.tools
	@rm -rf $(@D)
	@CC=clang meson setup $(@D) $(options) $(sanitized) -Dfuzz=true >/dev/null

test-c: packages build/c/build.ninja build/asan/build.ninja
	$(call meson_test,build/c)
	$(call meson_test,build/asan)
	@$(MAKE) --no-print-directory tsan
	@if echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' | clang -fsanitize=fuzzer,address -x c -o /dev/null - 2>/dev/null; \
	then $(MAKE) --no-print-directory test-fuzz; \
	else echo 'skipped: the fuzz targets and the build with clang: there is no clang with libFuzzer'; fi

# The tests in which planner and writer run beside each other, watched for data races.
tsan: build/tsan/build.ninja
	$(call meson_test,build/tsan) --suite threads

# With clang: the C tests, and each fuzz target for a minute.
test-fuzz: build/fuzz/build.ninja
	$(call meson_test,build/fuzz)
	python tests/fuzz/run.py build/fuzz

# All of them, and what hypothesis makes of requests, journals and files of items, for so long together; a table at the end. What is found is
# kept in build/fuzz/found, and an input that makes one crash in build/fuzz/crashes.
FUZZ_SECONDS = 3600
fuzz: packages build .venv/.dev build/fuzz/build.ninja
	ninja --quiet -C build/fuzz
	python tests/fuzz/run.py --all $(FUZZ_SECONDS) --python build/fuzz

# The corpus anew: of what is in it, what `make fuzz` has found and what comes in from outside in tests, the least that reaches as much.
corpus: build .venv/.dev build/c/build.ninja build/fuzz/build.ninja
	ninja --quiet -C build/c && ninja --quiet -C build/fuzz
	python tests/fuzz/gather.py

# Two workers a processor, for tests wait as long as they compute; each in namespaces of its own: what a test makes goes with its
# worker, also when that is killed.
test-py: packages npm peers emulator build .venv/.dev
	@if command -v dh >/dev/null; then $(MAKE) --no-print-directory deb; else echo 'skipped: the package: there is no debhelper'; fi
	tests/box pytest --tx "$$((2 * $$(nproc)))*popen//python=tests/box python" --dist worksteal

# All tests of the engine and of the C library on the kernels of Debian 12, the oldest that is supported and a newer one, in an
# emulated machine: hours. `make test` runs a few of them.
kernels = 6.1 6.12
test-vm: packages emulator build .venv/.dev build/c/build.ninja
	ninja --quiet -C build/c
	for kernel in $(kernels); do \
		tests/vm/run-in-vm -k $$kernel -t 14400 sh -c \
			'meson test -C build/c --no-rebuild --print-errorlogs --timeout-multiplier 20 && pytest --timeout 3600 tests/engine tests/vm' || exit 1; \
	done

# The package once more, on a Debian that has nothing but what it depends on, from where apt-get gets it. `make test` does it on this
# machine's own root.
test-deb: packages deb build/root/.made .venv/.dev
	@.ci/need lintian
	lintian --fail-on error,warning build/deb/*.deb
	NSPLANE_LOWER=$(CURDIR)/build/root tests/box pytest tests/service/test_package.py

build/root/.made:
	@.ci/need debootstrap
	@rm -rf build/root
	debootstrap --variant=minbase --include=libstdc++6,python3,systemd-sysv "$$(. /etc/os-release && echo $$VERSION_CODENAME)" $(@D) \
		"$$(apt-get indextargets --format '$$(REPO_URI)' | head -n 1)" >build/root.log
	@touch $@

# A real agent under disturbances that are drawn at random, for SOAK_SECONDS (half an hour); SOAK_SEED=N draws what another one drew.
# `make test` has five minutes of it.
soak: packages build .venv/.dev
	tests/box python -m tests.soak

# Measures everything, and fails where a bar is missed. `python -m benchmarks all --document` makes docs/performance.md.
bench: peers build .venv/.bench
	python -m benchmarks check

# The pictures of docs/, on a kernel that has all kinds of links. Minutes.
pictures: build packages emulator
	mkdir -p docs/pictures && tests/vm/run-in-vm -k 6.12 -w docs/pictures python docs/pictures.py

# The pictures of docs/web.md, of a browser that looks at `nsplane web`.
screenshots: packages build .venv/.dev
	tests/box python docs/screenshots.py

# README.md and docs/ as a site, of which every link leads somewhere: build/docs/index.html.
docs: .venv/.docs
	@rm -rf build/docs
	sphinx-build -q -E -W --keep-going -c docs -d build/docs-read . build/docs

# The manual pages, also to where `man` looks for those of the commands in .venv.
man: .venv/.installed
	@rm -rf build/man
	python docs/man.py build/man
	@mkdir -p .venv/share/man && cp -r build/man/. .venv/share/man

# A package for the Debian that this is: build/deb/nsplane_VERSION_ARCHITECTURE.deb. It has all that nsplane needs of Python's in it, as
# wheels, which are fetched here. They are for Debian's own interpreter.
deb: build/deb/.built
build/deb/.built: .venv/.installed $(wildcard debian/* debian/source/* docs/*.md docs/man.py) README.md
	@.ci/need debhelper dpkg-dev python3-venv
	@rm -rf build/deb && mkdir -p build/deb/nsplane
	@test .venv/bin/python3 -ef /usr/bin/python3 || { echo "needed: a .venv with Debian's own interpreter, PYTHON=/usr/bin/python3"; exit 1; }
	pip wheel -q --no-build-isolation -C build-dir=build/python -w build/deb/wheels '.[metrics,web]'
	cp -r debian docs LICENSE README.md build/deb/nsplane
	cd build/deb/nsplane && dpkg-buildpackage --build=binary --no-sign >../log 2>&1 || { cat ../log; exit 1; }
	@touch $@

# After a change to csrc/include/nsplane/.
stubs: .venv/.tools
	python csrc/core_stub.py >engine/nsplane/_core.pyi.new && mv engine/nsplane/_core.pyi.new engine/nsplane/_core.pyi

clean:
	rm -rf .venv build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
