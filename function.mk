# How `sam build` builds a function (`BuildMethod: makefile`; each function's folder has a Makefile that includes this).
# Functions that share a program share its compile. ARCH is that of the template's `Architectures`.
folder := $(abspath $(dir $(firstword $(MAKEFILE_LIST))))
root := $(abspath $(dir $(lastword $(MAKEFILE_LIST))))
ARCH ?= arm64

build-%:
	cargo run --quiet --manifest-path "$(root)/Cargo.toml" -p xtask -- \
		packages --arch $(ARCH) --into "$(ARTIFACTS_DIR)" $(notdir $(folder))
