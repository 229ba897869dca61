package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// fargateSize is a CPU value of Fargate on Linux with its memory, in MiB, from least to most in steps.
type fargateSize struct{ cpu, least, most, step int }

// fargateSizes are the pairs that Fargate has. 256 units have 512, 1024 and 2048 MiB only, not 1536.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html#fargate-tasks-size
func fargateSizes() []fargateSize {
	return []fargateSize{
		{256, 512, 2048, 512},
		{512, 1024, 4096, 1024},
		{1024, 2048, 8192, 1024},
		{2048, 4096, 16384, 1024},
		{4096, 8192, 30720, 1024},
		{8192, 16384, 61440, 4096},
		{16384, 32768, 122880, 8192},
	}
}

func (s fargateSize) has(memory int) bool {
	return memory >= s.least && memory <= s.most && (memory-s.least)%s.step == 0 && (s.cpu != 256 || memory != 1536)
}

func (s fargateSize) String() string {
	if s.cpu == 256 {
		return "512, 1024 or 2048"
	}
	return fmt.Sprintf("%d to %d in steps of %d", s.least, s.most, s.step)
}

// maxTasks keeps twice the tasks, as during a deployment, within the 500 targets that a network load balancer has in
// an availability zone. https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-limits.html
const maxTasks = 250

func (v *validation) service(c Config) {
	const field = "Service."
	s := c.Service
	sizes := fargateSizes()
	i := slices.IndexFunc(sizes, func(size fargateSize) bool { return size.cpu == s.CPU })
	if v.rule(i >= 0, field+"CPU", s.CPU, "is no size of a Fargate task", "write 256, 512, 1024, 2048, 4096, 8192 or 16384") {
		v.rule(sizes[i].has(s.Memory), field+"Memory", s.Memory, fmt.Sprintf("is no size that Fargate has with CPU %d", s.CPU),
			fmt.Sprintf("write %s, or change CPU", sizes[i]))
	}
	v.rule(s.TaskCount >= 1 && s.TaskCount <= maxTasks, field+"TaskCount", s.TaskCount, fmt.Sprintf("must lie between 1 and %d", maxTasks), "write 1, or 2 for high availability")
	v.rule(s.MaxTaskCount >= s.TaskCount && s.MaxTaskCount <= maxTasks, field+"MaxTaskCount", s.MaxTaskCount,
		fmt.Sprintf("must lie between TaskCount (%d) and %d", s.TaskCount, maxTasks), "write TaskCount for a service that does not scale")
	v.rule(s.TaskCount <= 1 || c.Network.Zones() >= 2, field+"TaskCount", s.TaskCount, "needs two availability zones: tasks in a single one fail together",
		"name a second zone in Network.AvailabilityZones, or none")
	v.rule(imageRevision.MatchString(s.ImageRevision), field+"ImageRevision", s.ImageRevision, "must be 1 to 64 letters, digits and - _ .", "write 1, and another one when the images are to be built anew")
	for _, name := range slices.Sorted(maps.Keys(s.BuildArgs)) {
		v.rule(buildArgument.MatchString(name) && name != "VERSION", fmt.Sprintf("%sBuildArgs[%q]", field, name), s.BuildArgs[name], "is no argument of a Dockerfile, or is the one that ImageRevision sets",
			"write GO_IMAGE, NGINX_IMAGE or GOPROXY")
	}
	oneOf(v, field+"CPUArchitecture", s.CPUArchitecture, []CPUArchitecture{ARM64, X86_64}, "ARM64 or X86_64")
}

var (
	imageRevision = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	buildArgument = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

const (
	leastContainerMemory = 128 // MiB
	leastContainerCPU    = 128 // units: Linux takes 2, at which nothing answers in time
	// appOverhead is what the app needs besides MemoryBudget: 64 MiB of heap (its memory limit), the program,
	// stacks, and buffers of the kernel for hundreds of connections.
	appOverhead = 256 * MiB
)

func (v *validation) containers(c Config) {
	const nginx, app = "Service.Nginx.", "Service.App."
	s := c.Service
	sized := true
	for _, container := range []struct {
		path, image, directory string
		memory, cpu            int
	}{
		{nginx, s.Nginx.Image, s.Nginx.SourceDirectory, s.Nginx.Memory, s.Nginx.CPU},
		{app, s.App.Image, s.App.SourceDirectory, s.App.Memory, s.App.CPU},
	} {
		if container.image == "" {
			v.sourceDirectory(container.path+"SourceDirectory", container.directory)
		} else {
			v.image(container.path+"Image", container.image, c.Region)
		}
		memory := v.rule(container.memory >= leastContainerMemory, container.path+"Memory", container.memory, fmt.Sprintf("must be at least %d MiB", leastContainerMemory), "write 2048")
		cpu := v.rule(container.cpu >= leastContainerCPU, container.path+"CPU", container.cpu, fmt.Sprintf("must be at least %d units", leastContainerCPU), "write 1024")
		sized = sized && memory && cpu
	}
	if !sized {
		return
	}
	within := func(name string, nginxPart, appPart, whole int, unit string) {
		v.rule(nginxPart <= whole && appPart <= whole-nginxPart, app+name, appPart, fmt.Sprintf("and that of nginx (%d) make %d%s, more than Service.%s (%d)", nginxPart, nginxPart+appPart, unit, name, whole),
			fmt.Sprintf("lower one of the two, or raise Service.%s", name))
	}
	within("Memory", s.Nginx.Memory, s.App.Memory, s.Memory, " MiB")
	within("CPU", s.Nginx.CPU, s.App.CPU, s.CPU, " units")
	budget := s.App.Env.MemoryBudget
	v.rule(budget <= 0 || budget > maxByteSize || budget+appOverhead <= ByteSize(s.App.Memory)*MiB, app+"Env.MemoryBudget", budget,
		fmt.Sprintf("and the %s that the app needs besides it are more than Service.App.Memory (%d MiB), so the container would be killed", appOverhead, s.App.Memory),
		"lower it, or raise Service.App.Memory")
}

// nginxEnv checks the environment of the sidecar; the sidecar itself checks the entries of AllowedClients.
func (v *validation) nginxEnv(c Config) {
	const field = "Service.Nginx.Env."
	e := c.Service.Nginx.Env
	withClients := c.Certificate.AuthMode == ClientAuth
	v.rule(withClients || len(e.AllowedClients) == 0, field+"AllowedClients", e.AllowedClients, "needs AuthMode ClientAuth: without client certificates there is no name to compare", "delete them, or set AuthMode to ClientAuth")
	for i, client := range e.AllowedClients {
		v.rule(strings.ContainsAny(client, "=:") && !strings.ContainsAny(client, "\r\n"), fmt.Sprintf("%sAllowedClients[%d]", field, i), client, "is no client",
			"write a subject such as CN=modality-1,O=Hospital, a subject \"issued by\" its issuer, or sha256: and a fingerprint")
	}
	v.rule(withClients || !e.RequireCRL, field+"RequireCRL", e.RequireCRL, "needs AuthMode ClientAuth: without client certificates there is nothing to revoke", "set it to false, or AuthMode to ClientAuth")
	v.rule(e.ClientMaxBodySize >= 0 && e.ClientMaxBodySize <= maxByteSize, field+"ClientMaxBodySize", e.ClientMaxBodySize, "must be 0 or more", "write 0 for no limit")
	v.rule(e.ConnectionsPerAddress >= 0 && e.ConnectionsPerAddress <= 65535, field+"ConnectionsPerAddress", e.ConnectionsPerAddress, "must lie between 0 and 65535", "write 0 for no limit")
	v.rule(e.CertRefresh >= time.Second, field+"CertRefresh", e.CertRefresh, "must be a second or more", "write 60 * time.Second")
	v.rule(e.WorkerShutdownTimeout >= time.Second, field+"WorkerShutdownTimeout", e.WorkerShutdownTimeout, "must be a second or more", "write time.Hour")
}

// imageURI is account, region, repository and digest. The tasks reach ECR of their region, and a tag may be another image tomorrow.
var imageURI = regexp.MustCompile(`^([0-9]{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/([a-z0-9]+(?:[._/-][a-z0-9]+)*)@(sha256:[0-9a-f]{64})$`)

// ECRImage splits an Image that Validate accepts; otherwise all parts are empty.
func ECRImage(uri string) (account, region, repository, digest string) {
	if parts := imageURI.FindStringSubmatch(uri); parts != nil {
		return parts[1], parts[2], parts[3], parts[4]
	}
	return "", "", "", ""
}

func (v *validation) image(field, uri, region string) {
	_, of, _, _ := ECRImage(uri)
	v.rule(of != "" && of == region, field, uri, "is no image of a repository of ECR in "+region+", with its digest",
		fmt.Sprintf("write 123456789012.dkr.ecr.%s.amazonaws.com/NAME@sha256:DIGEST, from `aws ecr describe-images --region %[1]s --repository-name NAME`; images of other registries come through a pull-through cache", region))
}

func (v *validation) sourceDirectory(field, directory string) {
	path := Folder(directory)
	absolute, err := filepath.Abs(path)
	if err != nil {
		absolute = path
	}
	info, err := os.Stat(path)
	if !v.rule(strings.TrimSpace(directory) != "" && err == nil && info.IsDir(), field, directory, "is not a folder: "+absolute,
		"write the folder of the Dockerfile, relative to infra, and run cdk in infra or in the folder above it") {
		return
	}
	_, err = os.Stat(filepath.Join(path, "Dockerfile"))
	v.rule(err == nil, field, directory, "has no Dockerfile: "+absolute, "write the folder of the Dockerfile, relative to infra")
}
