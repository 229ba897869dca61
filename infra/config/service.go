package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// ServiceConfig is the Fargate service: tasks of two containers, nginx and the app.
type ServiceConfig struct {
	// Memory of a task in MiB, both containers together. Default 4096. CPU and Memory must be a pair that Fargate has.
	Memory int
	// CPU units of a task, 1024 to a core: 256, 512, 1024, 2048, 4096, 8192 or 16384. Default 2048.
	CPU int
	// TaskCount is the minimum number of tasks, 1 to 250. Default 1; 2 or more for high availability.
	TaskCount int
	// MaxTaskCount is the maximum number of tasks, TaskCount to 250. Default 4. Equal to TaskCount: no scaling.
	MaxTaskCount int
	// CPUArchitecture of tasks and images is X86_64 (default) or ARM64. Docker must be able to build for it.
	CPUArchitecture CPUArchitecture
	// ImageRevision names the build of the images: the programs report it as their version. A new value rebuilds the images
	// with the current base images, unless these are pinned by digest; otherwise images are only rebuilt when a file in their folder changes. Letters, digits and - _ .
	// Default 1.
	ImageRevision string
	// BuildArgs of both images, besides VERSION, which is ImageRevision: GO_IMAGE, NGINX_IMAGE and GOPROXY name mirrors.
	// Default none.
	BuildArgs map[string]string
	Nginx     NginxConfig
	App       AppConfig
}

// CPUArchitecture of tasks and images.
type CPUArchitecture string

// Values of CPUArchitecture.
const (
	ARM64  CPUArchitecture = "ARM64"
	X86_64 CPUArchitecture = "X86_64" //nolint:revive // the name that ECS and uname give it
)

// NginxConfig is the container that terminates TLS in front of the app.
type NginxConfig struct {
	// SourceDirectory holds the Dockerfile, relative to the folder infra. Default ../nginx.
	SourceDirectory string
	// Image is an image that was built, scanned and signed elsewhere, used instead of SourceDirectory: in an ECR repository in Region, with
	// its digest, 123456789012.dkr.ecr.eu-central-1.amazonaws.com/NAME@sha256:…. Default: none, it is built at deployment.
	Image string
	// Memory in MiB, above which the container is killed, 128 or more. Default 1024.
	Memory int
	// CPU units, its share when the task is busy, 128 or more. Default 1024.
	CPU int
	Env NginxEnv
}

// NginxEnv is the environment of the sidecar that no other field determines. docs/operations.md describes the variables.
type NginxEnv struct {
	// AllowedClients are the only clients that may store, with ClientAuth: subjects such as CN=modality-1,O=Hospital, subjects
	// "issued by" an issuer, or sha256: and a fingerprint. Default none: all that truststore.crt verifies.
	AllowedClients []string `env:"ALLOWED_CLIENTS"`
	// RequireCRL refuses every client, with ClientAuth, as long as there is no usable crl.pem in the certificate bucket. Default false.
	RequireCRL bool `env:"CRL"`
	// ClientMaxBodySize of a request in bytes. Default 0: only MaxRequestSize limits it.
	ClientMaxBodySize ByteSize `env:"CLIENT_MAX_BODY_SIZE"`
	// ConnectionsPerAddress is the number of concurrent requests of one client address, 0 to 65535. Default 0: no limit.
	ConnectionsPerAddress int `env:"CONNECTIONS_PER_ADDRESS"`
	// CertRefresh is the interval at which the certificate bucket is checked, a second or more. Default 60 s.
	CertRefresh time.Duration `env:"CERT_REFRESH"`
	// WorkerShutdownTimeout is how long a request that began before certificates changed may continue, a second or more. Default 1 h.
	WorkerShutdownTimeout time.Duration `env:"WORKER_SHUTDOWN_TIMEOUT"`
}

// Variables returns the environment of the container.
func (e NginxEnv) Variables() map[string]string {
	variables := map[string]string{
		"CLIENT_MAX_BODY_SIZE":    strconv.FormatInt(int64(e.ClientMaxBodySize), 10),
		"CONNECTIONS_PER_ADDRESS": strconv.Itoa(e.ConnectionsPerAddress),
		"CERT_REFRESH":            e.CertRefresh.String(),
		"WORKER_SHUTDOWN_TIMEOUT": e.WorkerShutdownTimeout.String(),
	}
	if len(e.AllowedClients) > 0 {
		variables["ALLOWED_CLIENTS"] = strings.Join(e.AllowedClients, ";")
	}
	if e.RequireCRL {
		variables["CRL"] = "required"
	}
	return variables
}

// AppConfig is the container of the service itself.
type AppConfig struct {
	// SourceDirectory holds the Dockerfile, relative to the folder infra. Default ../app.
	SourceDirectory string
	// Image is the same as in NginxConfig.
	Image string
	// Memory in MiB, above which the container is killed: MemoryBudget and 256 MiB or more. Default 3072.
	Memory int
	// CPU units, its share when the task is busy, 128 or more. Default 1024.
	CPU int
	Env AppEnv
}

// AppEnv is the environment of the app, one field for each variable, except those that the stack sets itself:
// BUCKETNAME (from StorageConfig), LISTENADDRESS and ADMINADDRESS (127.0.0.1: only nginx of the same task connects)
// and TRUSTEDPROXY (127.0.0.1, so that nginx is trusted). docs/design.md describes the variables.
type AppEnv struct {
	// Prefix of every key: letters, digits and - _ . / only. Default empty: keys begin with the study.
	Prefix string `env:"PREFIX"`
	// ObjectSuffix is appended to every key: letters, digits and - _ . only. Default empty.
	ObjectSuffix string `env:"OBJECTSUFFIX"`
	// WADOURL is the base of every RetrieveURL in responses, http or https. Default empty: responses have none.
	WADOURL string `env:"WADOURL"`
	// LogLevel is Debug, Info, Warning (default), Error or Critical.
	LogLevel LogLevel `env:"LOGLEVEL"`
	// ResponseDelay is the wait before the response, below the load balancer's idle time: 350 s with ACM, 3600 s with
	// FromS3. Default 0.
	ResponseDelay time.Duration `env:"RESPONSEDELAY"`
	// ThreadCount is the number of concurrent S3 requests, 1 to 1024 and at most MemoryBudget / 256 KiB. 0, the default, is that of the app: one
	// for each MiB of MemoryBudget, at most 512.
	ThreadCount int `env:"THREADCOUNT"`
	// RetryTime is how long one S3 request is retried before its instance fails, 1 s to 1 h. Default 60 s.
	RetryTime time.Duration `env:"RETRYTIME"`
	// MemoryBudget is the memory for buffers, metadata and everything else that requests hold: at least MetadataLimit, HeadWindow (16 MiB
	// at least), 16 KiB for each of MaxRequests and 8 MiB, and never less than 32 MiB. Default 1 GiB.
	MemoryBudget ByteSize `env:"MEMORYBUDGET"`
	// HeadWindow is how far into an instance its UIDs are searched, 64 KiB or more. Default 32 MiB.
	HeadWindow ByteSize `env:"HEADWINDOW"`
	// MetadataLimit is the memory for the metadata of requests with metadata and bulkdata, 64 KiB or more. Default 16 MiB.
	MetadataLimit ByteSize `env:"METADATALIMIT"`
	// MinRate is the bytes per second that a client must deliver, else its request ends, at most 100 MiB; 0: no minimum. Default 16 KiB.
	MinRate ByteSize `env:"MINRATE"`
	// MaxRequests is the number of concurrent requests, 1 to 1024 and at most MemoryBudget / 128 KiB; further ones get
	// 503. Default 512.
	MaxRequests int `env:"MAXREQUESTS"`
	// MaxInstanceSize in bytes; a larger instance fails with A700. Default 0: only S3's limit.
	MaxInstanceSize ByteSize `env:"MAXINSTANCESIZE"`
	// MaxRequestSize in bytes; a larger request gets 413. Default 0: no limit.
	MaxRequestSize ByteSize `env:"MAXREQUESTSIZE"`
	// OnDuplicate is Overwrite (default) or Reject (other bytes under the UIDs of a stored instance fail with 0111).
	OnDuplicate OnDuplicate `env:"ONDUPLICATE"`
	// Commitment is On or Off: the Storage Commitment Service, which tells every client that may store whether UIDs exist. Default: On with
	// ClientAuth, Off with Anonymous.
	Commitment Commitment `env:"COMMITMENT"`
	// KMSKeyID is the ARN of a key that encrypts the objects. Default empty: the bucket's encryption.
	KMSKeyID string `env:"KMSKEYID"`
	// StorageClass of the objects, as S3 names it. Default empty: STANDARD.
	StorageClass string `env:"STORAGECLASS"`
	// StrictAccept answers 406 where the standard requires it. Default false.
	StrictAccept bool `env:"STRICTACCEPT"`
	// CORSOrigins are the origins that may upload from a browser, such as https://viewer.example.org. Default none.
	CORSOrigins []string `env:"CORSORIGINS"`
	// StopTimeout is the time to finish requests in flight when a task stops, above 0 and at most 112 s: Fargate kills
	// after 120 s, and the app needs 8 s to abort the remaining uploads. Default 110 s.
	StopTimeout time.Duration `env:"STOPTIMEOUT"`
	// SweepAge: the service aborts its own multipart uploads to which nothing was added for this time, 10 minutes or more.
	// Default 30 minutes.
	SweepAge time.Duration `env:"SWEEPAGE"`
	// PProf serves profiles on ADMINADDRESS. Default false.
	PProf bool `env:"PPROF"`
}

// LogLevel is how verbose the app is; the audit record of each request is written at all levels.
type LogLevel string

// Values of LogLevel.
const (
	Debug    LogLevel = "DEBUG"
	Info     LogLevel = "INFO"
	Warning  LogLevel = "WARNING"
	Error    LogLevel = "ERROR"
	Critical LogLevel = "CRITICAL"
)

// OnDuplicate says what happens to an instance whose UIDs are already stored.
type OnDuplicate string

// Values of OnDuplicate.
const (
	Overwrite OnDuplicate = "overwrite"
	Reject    OnDuplicate = "reject"
)

// Commitment says whether the Storage Commitment Service is served.
type Commitment string

// Values of Commitment.
const (
	On  Commitment = "on"
	Off Commitment = "off"
)

// ByteSize is a number of bytes: 256 * MiB.
type ByteSize int64

// Units of ByteSize.
const (
	KiB ByteSize = 1 << 10
	MiB ByteSize = 1 << 20
	GiB ByteSize = 1 << 30
)

// String returns the size in the form that the app reads, in the largest unit without a fraction: 256MiB.
func (b ByteSize) String() string {
	switch {
	case b != 0 && b%GiB == 0:
		return fmt.Sprintf("%dGiB", b/GiB)
	case b != 0 && b%MiB == 0:
		return fmt.Sprintf("%dMiB", b/MiB)
	case b != 0 && b%KiB == 0:
		return fmt.Sprintf("%dKiB", b/KiB)
	default:
		return strconv.FormatInt(int64(b), 10)
	}
}

// Variables returns the environment of the container. Variables with empty values are left out: for the app they
// mean the default.
func (e AppEnv) Variables() map[string]string {
	variables := map[string]string{}
	value := reflect.ValueOf(e)
	for i := range value.NumField() {
		if text := variable(value.Field(i).Interface()); text != "" {
			variables[value.Type().Field(i).Tag.Get("env")] = text
		}
	}
	return variables
}

func variable(value any) string {
	if list, ok := value.([]string); ok {
		return strings.Join(list, ",")
	}
	return fmt.Sprint(value)
}

// Threads is the number of concurrent S3 requests that ThreadCount means.
func (e AppEnv) Threads() int {
	if e.ThreadCount == 0 {
		return int(min(512, e.MemoryBudget/MiB))
	}
	return e.ThreadCount
}
