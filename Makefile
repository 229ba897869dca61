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

# Those of the Dockerfiles: the same sources and compiler make the same bytes.
GO_BUILD_FLAGS = -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X main.version=$(VERSION)"

# gRPC, of which the exporter of traces is made although it speaks HTTP, links html/template for traces of its own, and 9 MB with it.
STOWRS_TAGS = -tags grpcnotrace

.PHONY: help run send build images e2e-compose version test test-all test-infra golden-infra fuzz interop lint check bench diagrams picture-send licenses vulncheck release snapshot clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## start the service and an S3 server on this machine, until Ctrl-C
	@[ -e bin/local ] || echo "building: the first time, Go fetches 350 MB of modules and compiles for two minutes"
	@go build -o bin/local ./local
	@bin/local

send: ## send the samples to the service that make run has started
	go run ./app send --url $(URL) --response $(SAMPLES)

build: ## build the static binaries bin/stowrs and bin/certsync
	cd app && GOWORK=off CGO_ENABLED=0 go build $(GO_BUILD_FLAGS) $(STOWRS_TAGS) -o ../bin/stowrs .
	cd nginx && GOWORK=off CGO_ENABLED=0 go build $(GO_BUILD_FLAGS) -o ../bin/certsync .

images: ## build the images stowrs, stowrs-nginx and stowrs-s3
	$(DOCKER) build $(BUILD_FLAGS) --build-arg VERSION=$(VERSION) -t stowrs:$(VERSION) -t stowrs:latest app
	$(DOCKER) build $(BUILD_FLAGS) --build-arg VERSION=$(VERSION) -t stowrs-nginx:$(VERSION) -t stowrs-nginx:latest nginx
	$(DOCKER) build $(BUILD_FLAGS) -t stowrs-s3:latest local/versitygw

e2e-compose: build images ## test the images, and compose.yaml with all its profiles
	.ci/e2e-images.sh
	.ci/e2e-compose.sh

version: ## print the version that builds get
	@echo $(VERSION)

# Go alone suffices. What needs more than that, or more than a few minutes, is left out, and named at the end.
test: ## vet and test what needs only Go, in a few minutes; says what it leaves out
	@set -e; for module in $(filter-out infra,$(MODULES)); do \
		echo "go vet and go test in $$module"; \
		(cd $$module && go vet ./... && go test -short -count=1 -timeout 10m ./...); \
	done
	@echo "Passed. Not run, but by make test-all:"
	@echo "  the race detector, and the tests of whole processes that take longer than ten seconds"
	@command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || echo "  the sidecar with nginx, which is not installed: apt-get install nginx-light, or brew install nginx"
	@echo "  the AWS deployment (make test-infra, which needs Node.js and Python$(if $(shell command -v npm),,; Node.js is not installed))"

test-all: packages test-infra ## vet and test everything, with the race detector; installs what it needs where it may
	@set -e; for module in $(filter-out infra,$(MODULES)); do \
		echo "go vet and go test in $$module"; \
		(cd $$module && go vet ./... && go test $$([ $$module = local ] || echo $(RACE)) -count=1 -timeout 20m ./...); \
	done

ACTIONLINT  := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
GORELEASER  := github.com/goreleaser/goreleaser/v2@v2.17.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

check: ## check documents, licenses, Kubernetes manifests and workflows
	go run $(ACTIONLINT)
	cd local && go test -count=1 ./documents
	cd kubernetes && go vet ./... && go test -count=1 ./...

licenses: ## write docs/licenses.md: the licenses of all modules in the two programs
	cd local && UPDATE=1 go test -count=1 -run Licenses ./documents

vulncheck: ## find known vulnerabilities in code that is called; needs https://vuln.go.dev
	@set -e; for module in $(MODULES); do echo "govulncheck in $$module"; (cd $$module && go run $(GOVULNCHECK) ./...); done

release: ## publish binaries, packages, checksums and bills of materials of the tag on GitHub; needs syft, GITHUB_TOKEN
	go run $(GORELEASER) release --clean

snapshot: ## build the same into bin/release, without a tag, syft and GitHub
	go run $(GORELEASER) release --clean --snapshot --skip=sbom

.PHONY: packages
packages:
	@.ci/packages.sh gcc npm python3 nginx nft chromium

# jsii says so each time it is started on a version that is still good enough.
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 1

infra/node_modules/.bin/cdk: infra/package.json
	@cd infra && npm install --silent --no-audit --no-fund --no-package-lock
	@touch $@

infra/.venv/bin/cfn-lint: infra/rehearsal/requirements.txt
	@test -d infra/.venv || python3 -m venv infra/.venv
	@infra/.venv/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

FAULTS := Outage|SlowLink|Lost|Kills|Terminated|Stalled|Forgotten|Damage|Soak
SOAK   ?= 30m

.PHONY: test-faults soak
test-faults: packages ## test the built binaries with S3 faults, kills, stops, and restarts under load
	cd local && go test -count=1 -timeout 30m -v -run '$(FAULTS)' ./e2e

soak: packages ## test with random faults and restarts for SOAK (30m); prints figures
	cd local && SOAK=$(SOAK) go test -count=1 -timeout 0 -v -run TestSoak ./e2e

test-infra: infra/node_modules/.bin/cdk infra/.venv/bin/cfn-lint ## test the AWS deployment, as far as it goes without AWS
	@echo "go vet and go test in infra"
	@cd infra && go vet ./... && go test -count=1 -timeout 20m ./...
	@echo "cfn-lint over the templates"
	@cd infra && .venv/bin/cfn-lint testdata/templates/*.json sandbox-vpc.yaml
	@echo "create, update and delete the stack on an emulator" # four at a time: they wait for the CDK CLI, which asks every five seconds
	@cd infra/rehearsal && ../.venv/bin/python -W ignore -m pytest -q -p no:cacheprovider -n 4 --dist worksteal

golden-infra: ## rewrite the golden templates; git diff shows what deployments will change
	cd infra && go test -run TestGoldenTemplates -count=1 ./stowrs -update

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

interop: $(INTEROP)/java/build ## store with clients of other projects; .ci/run names what they need
	test -d $(INTEROP)/.venv || python3 -m venv $(INTEROP)/.venv
	$(INTEROP)/.venv/bin/pip install --quiet --disable-pip-version-check -r $(INTEROP)/requirements.txt
	cd $(INTEROP) && npm install --silent --no-audit --no-fund --no-package-lock
	$(INTEROP)/.venv/bin/python -m pytest -q -p no:cacheprovider $(INTEROP)

lint: ## run golangci-lint on all modules
	@set -e; for module in $(MODULES) kubernetes; do \
		echo "golangci-lint in $$module"; \
		(cd $$module && go run $(GOLANGCI_LINT) run ./...); \
	done

bench: ## compare the service with its S3 server alone, in pairs of runs
	go run ./local/bench

.PHONY: bench-check
bench-check: packages ## run a benchmark once, the sidecar and the floor included: that it runs, not how fast
	go run ./local/bench --quick --latency 10ms --workload small --floor --sidecar

img/.venv/installed: img/requirements.txt
	@.ci/packages.sh python3
	@test -d img/.venv || python3 -m venv img/.venv
	@img/.venv/bin/pip install --quiet --disable-pip-version-check --no-deps -r $<
	@touch $@

diagrams: img/.venv/installed ## draw the diagrams in img from their sources; needs Graphviz and Python
	@.ci/packages.sh dot
	set -e; for source in img/*.dot; do dot -Tpng -o $${source%.dot}.png $$source; done
	img/.venv/bin/python img/deployment.py

picture-send: img/.venv/installed ## write img/send.svg, the terminal of a real run of stowrs send
	go build -o bin/local ./local
	go build -o bin/stowrs ./app
	img/.venv/bin/python img/send.py

clean: ## remove what was built and the data of make run
	rm -rf bin data
