package stowrs

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecr"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecrassets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stowrs-to-s3/infra/config"
)

// What the task expects of the images.
const (
	appUser        = "65532:65532"   // nobody; it writes no file
	nginxUser      = "65532:65532"   // owner of nginxRunFolder in the image
	nginxRunFolder = "/run/certsync" // the only folder that is written to, a VOLUME of the image
	stopTimeout    = 120             // seconds from SIGTERM to SIGKILL, the most that Fargate gives
)

// newTask defines the task: nginx in front of the app, two containers that share the loopback interface and one role.
func newTask(scope constructs.Construct, cfg config.Config, storage Storage, appLogs, nginxLogs awslogs.ILogGroup) awsecs.FargateTaskDefinition {
	task := awsecs.NewFargateTaskDefinition(scope, jsii.String("Task"), &awsecs.FargateTaskDefinitionProps{
		Family:         jsii.String(cfg.AppName),
		Cpu:            jsii.Number(cfg.Service.CPU),
		MemoryLimitMiB: jsii.Number(cfg.Service.Memory),
		TaskRole:       newTaskRole(scope, cfg, storage),
		ExecutionRole:  newExecutionRole(scope, cfg.AppName),
		RuntimePlatform: &awsecs.RuntimePlatform{
			CpuArchitecture: cpuArchitecture(cfg.Service.CPUArchitecture), OperatingSystemFamily: awsecs.OperatingSystemFamily_LINUX(),
		},
		// With a read-only root file system it needs one writable folder; Fargate has no tmpfs.
		Volumes: &[]*awsecs.Volume{{Name: jsii.String("nginx-run")}},
	})
	app := addApp(task, cfg, storage, appLogs)
	nginx := addNginx(task, cfg, storage, nginxLogs)
	// nginx starts after the app. Because ECS stops containers in reverse order, it ends before the app, so no upload loses the app.
	nginx.AddContainerDependencies(&awsecs.ContainerDependency{Container: app, Condition: awsecs.ContainerDependencyCondition_HEALTHY})
	return task
}

func addApp(task awsecs.FargateTaskDefinition, cfg config.Config, storage Storage, log awslogs.ILogGroup) awsecs.ContainerDefinition {
	environment := map[string]*string{
		"BUCKETNAME":    storage.Dicom.BucketName(),
		"LISTENADDRESS": jsii.String(fmt.Sprintf("127.0.0.1:%d", stowPort)),
		"ADMINADDRESS":  jsii.String(fmt.Sprintf("127.0.0.1:%d", adminPort)),
		"TRUSTEDPROXY":  jsii.String("127.0.0.1"),
		"AWS_REGION":    jsii.String(cfg.Region),
	}
	if cfg.Certificate.AuthMode == config.Anonymous { // commitment tells a client whether UIDs exist: by default, anonymous clients cannot use it
		environment["COMMITMENT"] = jsii.String(string(config.Off))
	}
	for name, value := range cfg.Service.App.Env.Variables() {
		environment[name] = jsii.String(value)
	}
	useFIPSEndpoints(environment, cfg)
	props := hardened(appUser, log, []string{"CMD", "/stowrs", "health", "--live"})
	props.ContainerName = jsii.String("app")
	props.Image = image(task, "AppRepository", cfg.Service.App.Image, cfg.Service.App.SourceDirectory, cfg)
	props.Cpu, props.MemoryLimitMiB = jsii.Number(cfg.Service.App.CPU), jsii.Number(cfg.Service.App.Memory)
	props.Environment = &environment
	props.LinuxParameters = withoutCapabilities(task, "AppLinux")
	return task.AddContainer(jsii.String("app"), props)
}

func addNginx(task awsecs.FargateTaskDefinition, cfg config.Config, storage Storage, log awslogs.ILogGroup) awsecs.ContainerDefinition {
	environment := map[string]*string{
		"AUTH_MODE":  jsii.String(string(cfg.Certificate.AuthMode)),
		"CERT_MODE":  jsii.String(string(cfg.Certificate.CertificateMode)),
		"AWS_REGION": jsii.String(cfg.Region),
		// In this header, the load balancer sends the address of the client.
		"PROXY_PROTOCOL": jsii.String("on"),
	}
	for name, value := range cfg.Service.Nginx.Env.Variables() {
		environment[name] = jsii.String(value)
	}
	if storage.Certificates != nil {
		environment["CERT_BUCKETNAME"] = storage.Certificates.BucketName()
	}
	useFIPSEndpoints(environment, cfg)
	props := hardened(nginxUser, log, []string{"CMD", "/certsync", "health"})
	props.ContainerName = jsii.String("nginx")
	props.Image = image(task, "NginxRepository", cfg.Service.Nginx.Image, cfg.Service.Nginx.SourceDirectory, cfg)
	props.Cpu, props.MemoryLimitMiB = jsii.Number(cfg.Service.Nginx.CPU), jsii.Number(cfg.Service.Nginx.Memory)
	props.Environment = &environment
	props.LinuxParameters = withoutCapabilities(task, "NginxLinux")
	props.PortMappings = &[]*awsecs.PortMapping{
		{ContainerPort: jsii.Number(tlsPort), Protocol: awsecs.Protocol_TCP},
		{ContainerPort: jsii.Number(healthPort), Protocol: awsecs.Protocol_TCP},
	}
	nginx := task.AddContainer(jsii.String("nginx"), props)
	nginx.AddMountPoints(&awsecs.MountPoint{
		SourceVolume: jsii.String("nginx-run"), ContainerPath: jsii.String(nginxRunFolder), ReadOnly: jsii.Bool(false),
	})
	return nginx
}

// useFIPSEndpoints makes the AWS SDK of a container use FIPS 140 endpoints.
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-endpoints.html
func useFIPSEndpoints(environment map[string]*string, cfg config.Config) {
	if cfg.Network.FIPSEndpoints {
		environment["AWS_USE_FIPS_ENDPOINT"] = jsii.String("true")
	}
}

// hardened sets what both containers have in common. Each is essential: if one of them ends, the task is replaced.
func hardened(user string, log awslogs.ILogGroup, healthCommand []string) *awsecs.ContainerDefinitionOptions {
	return &awsecs.ContainerDefinitionOptions{
		Essential:              jsii.Bool(true),
		User:                   jsii.String(user),
		Privileged:             jsii.Bool(false),
		ReadonlyRootFilesystem: jsii.Bool(true),
		StopTimeout:            awscdk.Duration_Seconds(jsii.Number(stopTimeout)),
		// Blocking: writes of a container wait while CloudWatch Logs accepts no records. Otherwise the driver would silently drop records, audit records
		// among them, when its buffer is full. The programs themselves queue records, and report how many they lose.
		Logging: awsecs.LogDrivers_AwsLogs(&awsecs.AwsLogDriverProps{
			LogGroup: log, StreamPrefix: jsii.String("task"), Mode: awsecs.AwsLogDriverMode_BLOCKING,
		}),
		// Live, not ready: an outage of S3 or a missing certificate must not end tasks with uploads in flight. Nor must a minute in
		// which the processors are busy: only after two and a half minutes without an answer is a task considered dead.
		HealthCheck: &awsecs.HealthCheck{
			Command:  jsii.Strings(healthCommand...),
			Interval: awscdk.Duration_Seconds(jsii.Number(30)), Timeout: awscdk.Duration_Seconds(jsii.Number(20)),
			Retries: jsii.Number(5), StartPeriod: awscdk.Duration_Seconds(jsii.Number(30)),
		},
	}
}

func withoutCapabilities(task awsecs.FargateTaskDefinition, id string) awsecs.LinuxParameters {
	parameters := awsecs.NewLinuxParameters(task, jsii.String(id), nil)
	parameters.DropCapabilities(awsecs.Capability_ALL)
	return parameters
}

// newTaskRole is the role of both containers, because a task has only one. access.go contains all its permissions.
func newTaskRole(scope constructs.Construct, cfg config.Config, storage Storage) awsiam.Role {
	role := awsiam.NewRole(scope, jsii.String("TaskRole"), &awsiam.RoleProps{
		AssumedBy:   tasksOf(scope),
		Description: jsii.String("Tasks of " + cfg.AppName + ": store instances, read certificates"),
	})
	for _, statement := range storage.access(cfg) {
		role.AddToPrincipalPolicy(statement)
	}
	storage.grantKeys(cfg, role)
	storage.guardArchive(cfg, role)
	return role
}

// newExecutionRole is the role with which ECS starts the tasks: CDK lets it pull the two images and write the two logs.
func newExecutionRole(scope constructs.Construct, appName string) awsiam.Role {
	return awsiam.NewRole(scope, jsii.String("ExecutionRole"), &awsiam.RoleProps{
		AssumedBy:   tasksOf(scope),
		Description: jsii.String("Start of the tasks of " + appName + ": pull images, write logs"),
	})
}

// tasksOf are tasks that run in this account: ECS must not use the roles on behalf of another account.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
func tasksOf(scope constructs.Construct) awsiam.ServicePrincipal {
	stack := awscdk.Stack_Of(scope)
	return awsiam.NewServicePrincipal(jsii.String("ecs-tasks.amazonaws.com"), &awsiam.ServicePrincipalOpts{Conditions: &map[string]any{
		"StringEquals": map[string]any{"aws:SourceAccount": stack.Account()},
		"ArnLike": map[string]any{"aws:SourceArn": stack.FormatArn(&awscdk.ArnComponents{
			Service: jsii.String("ecs"), Resource: jsii.String("*"), ArnFormat: awscdk.ArnFormat_NO_RESOURCE_NAME,
		})},
	}})
}

// image is an image of a repository, or one that is built from a folder at deployment and pushed to ECR: at synth the folder is only hashed, and CDK
// builds it again if the folder or an argument changes.
func image(scope constructs.Construct, id, uri, sourceDirectory string, cfg config.Config) awsecs.ContainerImage {
	if uri != "" {
		account, region, name, digest := config.ECRImage(uri)
		repository := awsecr.Repository_FromRepositoryAttributes(scope, jsii.String(id), &awsecr.RepositoryAttributes{
			RepositoryName: jsii.String(name),
			RepositoryArn:  jsii.String("arn:" + config.Partition(region) + ":ecr:" + region + ":" + account + ":repository/" + name),
		})
		return awsecs.ContainerImage_FromEcrRepository(repository, jsii.String(digest))
	}
	platform := awsecrassets.Platform_LINUX_AMD64()
	if cfg.Service.CPUArchitecture == config.ARM64 {
		platform = awsecrassets.Platform_LINUX_ARM64()
	}
	arguments := map[string]*string{"VERSION": jsii.String(cfg.Service.ImageRevision)}
	for name, value := range cfg.Service.BuildArgs {
		arguments[name] = jsii.String(value)
	}
	return awsecs.ContainerImage_FromAsset(jsii.String(config.Folder(sourceDirectory)), &awsecs.AssetImageProps{Platform: platform, BuildArgs: &arguments})
}

func cpuArchitecture(architecture config.CPUArchitecture) awsecs.CpuArchitecture {
	if architecture == config.ARM64 {
		return awsecs.CpuArchitecture_ARM64()
	}
	return awsecs.CpuArchitecture_X86_64()
}
