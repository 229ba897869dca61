# make help lists the targets.

MODULES       := app infra local nginx
VERSION       ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
URL           ?= http://127.0.0.1:8080
SAMPLES       ?= dcm-samples
FUZZTIME      ?= 30s

# The race detector needs a C compiler. CI has to have one. Module local tests built binaries
# against the clock, with many clients at once: the detector would take ten times their time.
RACE := $(if $(shell command -v gcc || command -v clang),-race,$(if $(CI),-race))

export AWS_EC2_METADATA_DISABLED := true

# The container engine, and flags such as --network=host or --build-arg GO_IMAGE=mirror.example.org/golang:1.26
DOCKER      ?= docker
BUILD_FLAGS ?=
export DOCKER_BUILDKIT := 1

.PHONY: help run send build images e2e-compose version test test-infra golden-infra fuzz interop lint bench diagrams clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## start the service and an S3 server on this machine, until Ctrl-C
	@go build -o bin/local ./local
	@bin/local

send: ## send the samples to the service that make run has started
	go run ./app send --url $(URL) --response $(SAMPLES)

build: ## build the static binaries bin/stowrs and bin/certsync
	cd app && GOWORK=off CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o ../bin/stowrs .
	cd nginx && GOWORK=off CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o ../bin/certsync .

images: ## build the images stowrs, stowrs-nginx and stowrs-s3
	$(DOCKER) build $(BUILD_FLAGS) --build-arg VERSION=$(VERSION) -t stowrs:$(VERSION) -t stowrs:latest app
	$(DOCKER) build $(BUILD_FLAGS) --build-arg VERSION=$(VERSION) -t stowrs-nginx:$(VERSION) -t stowrs-nginx:latest nginx
	$(DOCKER) build $(BUILD_FLAGS) -t stowrs-s3:latest local/versitygw

e2e-compose: build images ## prove the images, and compose.yaml with all its profiles
	.ci/e2e-images.sh
	.ci/e2e-compose.sh

version: ## print the version that is stamped
	@echo $(VERSION)

# Templates are made by a program in JavaScript, and CI has to have it.
NODE := $(if $(shell command -v npm),yes,$(if $(CI),yes))

test: $(if $(NODE),test-infra) ## vet and test all modules; infra where there is Node.js
	@set -e; for module in $(filter-out infra,$(MODULES)); do \
		echo "go vet and go test in $$module"; \
		(cd $$module && go vet ./... && go test $$([ $$module = local ] || echo $(RACE)) -count=1 -timeout 20m ./...); \
	done

# jsii says so each time it is started on a version that is still good enough.
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 1

infra/node_modules/.bin/cdk: infra/package.json
	@cd infra && npm install --silent --no-audit --no-fund --no-package-lock
	@touch $@

infra/.venv/bin/cfn-lint: infra/rehearsal/requirements.txt
	@test -d infra/.venv || python3 -m venv infra/.venv
	@infra/.venv/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

test-infra: infra/node_modules/.bin/cdk infra/.venv/bin/cfn-lint ## test the AWS deployment, as far as it goes without AWS
	@echo "go vet and go test in infra"
	@cd infra && go vet ./... && go test -count=1 -timeout 20m ./...
	@echo "cfn-lint over the templates"
	@cd infra && .venv/bin/cfn-lint testdata/templates/*.json sandbox-vpc.yaml
	@echo "create, update and delete the stack on an emulator"
	@cd infra/rehearsal && ../.venv/bin/python -W ignore -m pytest -q -p no:cacheprovider

golden-infra: ## rewrite the golden templates; git diff shows what deployments will change
	cd infra && go test -run TestGoldenTemplates -count=1 . -update

# The end of the time can fail a run that found nothing (golang/go#75804). What was found is kept, and fails the second run at once.
fuzz: ## run every fuzz target of app for FUZZTIME each, until one fails
	@set -e; cd app; \
	targets=$$(grep -rHo --include='*_test.go' '^func Fuzz[[:alnum:]_]*' . | LC_ALL=C sort); \
	test -n "$$targets"; \
	for target in $$(echo "$$targets" | sed 's/:func /:/'); do \
		package=$${target%/*}; name=$${target##*:}; \
		echo "$$name in app/$${package#./} for $(FUZZTIME)"; \
		fuzz() { go test $$package -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1000x; }; \
		fuzz || fuzz || { \
			echo "$$name failed; what reproduces it:"; ls -t $$package/testdata/fuzz/$$name/* | head -n 1 | sed 's|^\.|app|'; exit 1; }; \
	done

INTEROP := local/interop

$(INTEROP)/java/build: $(INTEROP)/java/pom.xml
	rm -rf $@
	mvn -q -B -ntp -f $< org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DoutputDirectory=build
	touch $@

interop: $(INTEROP)/java/build ## store with other people's clients; .ci/run names what they need
	test -d $(INTEROP)/.venv || python3 -m venv $(INTEROP)/.venv
	$(INTEROP)/.venv/bin/pip install --quiet --disable-pip-version-check -r $(INTEROP)/requirements.txt
	cd $(INTEROP) && npm install --silent --no-audit --no-fund --no-package-lock
	$(INTEROP)/.venv/bin/python -m pytest -q -p no:cacheprovider $(INTEROP)

lint: ## run golangci-lint on all modules
	@set -e; for module in $(MODULES); do \
		echo "golangci-lint in $$module"; \
		(cd $$module && go run $(GOLANGCI_LINT) run ./...); \
	done

bench: ## measure the service against its S3 server alone, in pairs
	go run ./local/bench

diagrams: ## draw img/*.png of their sources; needs Graphviz
	set -e; for source in img/*.dot; do dot -Tpng -o $${source%.dot}.png $$source; done

clean: ## remove what was built and the data of make run
	rm -rf bin data
