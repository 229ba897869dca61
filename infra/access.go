package main

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"
)

// certificateFiles are what nginx reads from the certificate bucket.
func certificateFiles() []string {
	return []string{"certificate.crt", "certificate.key", "truststore.crt", "crl.pem"}
}

// access is what the tasks do with the buckets, and nothing else; the package comment of app/s3store says why each
// action is there. A grant of CDK would give more: tags, legal holds and, for reading, every object.
// The task role has it, and the policy of the S3 endpoint.
func (s Storage) access(cfg Config) []awsiam.PolicyStatement {
	// GetObject is for HeadObject: whether an object whose acknowledgement was lost is there, and is the same.
	onObjects := []string{"s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:GetObject"}
	keys := "*"
	if prefix := strings.Trim(cfg.Service.App.Env.Prefix, "/"); prefix != "" {
		keys = prefix + "/*"
	}
	statements := []awsiam.PolicyStatement{
		allow("Store", onObjects, s.Dicom.ArnForObjects(jsii.String(keys))),
		allow("ProbeAndSweep", []string{"s3:ListBucket", "s3:ListBucketMultipartUploads"}, s.Dicom.BucketArn()),
	}
	if s.Certificates != nil {
		files := []*string{}
		for _, name := range certificateFiles() {
			files = append(files, s.Certificates.ArnForObjects(jsii.String(name)))
		}
		statements = append(statements,
			allow("ReadCertificates", []string{"s3:GetObject"}, files...),
			// Without it S3 says "forbidden" of a file that is not there. A revocation list that is missing must be told from one
			// that cannot be read, or revoked clients could come in.
			allow("FindCertificates", []string{"s3:ListBucket"}, s.Certificates.BucketArn()))
	}
	return statements
}

// grantKeys lets the role use the keys of the buckets: S3 asks for a data key for each object (or each bucket key), and
// decrypts it to go on with a multipart upload.
func (s Storage) grantKeys(cfg Config, role awsiam.Role) {
	if s.DicomKey != nil {
		s.DicomKey.Grant(role, jsii.String("kms:GenerateDataKey"), jsii.String("kms:Decrypt"))
	}
	for _, key := range []struct{ sid, arn string }{{"KMSKeyID", cfg.Service.App.Env.KMSKeyID}, {"ExistingDicomKey", cfg.Storage.ExistingDicomKey}} {
		if key.arn != "" && (s.DicomKey == nil || *s.DicomKey.KeyArn() != key.arn) {
			role.AddToPrincipalPolicy(allow(key.sid, []string{"kms:GenerateDataKey", "kms:Decrypt"}, jsii.String(key.arn)))
		}
	}
	if s.CertificateKey != nil {
		s.CertificateKey.Grant(role, jsii.String("kms:Decrypt"))
	}
}

// guardArchive lets the tasks and BreakGlassRoles alone change what is in the new bucket for DICOM, whatever IAM allows others. It says
// nothing of the bucket itself: whoever may write its policy can take this away, so that nobody is locked out of it, and CloudFormation goes on.
// Lifecycle rules are S3's own, and no policy of a bucket holds for them. A request without a principal is denied, too.
func (s Storage) guardArchive(cfg Config, tasks awsiam.Role) {
	roles := []*string{tasks.RoleArn()}
	for _, arn := range cfg.Audit.BreakGlassRoles {
		roles = append(roles, jsii.String(arn))
	}
	// PutObject* are tags, legal holds and retention as well; Replicate* is another bucket that is replicated into this one.
	statement := allow("OnlyTheServiceWrites", []string{"s3:PutObject*", "s3:DeleteObject*", "s3:Replicate*", "s3:BypassGovernanceRetention"}, s.Dicom.ArnForObjects(jsii.String("*")))
	statement.SetEffect(awsiam.Effect_DENY)
	statement.AddAnyPrincipal()
	// The ARN of a role, also of those who have assumed it.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn
	statement.AddCondition(jsii.String("ArnNotEquals"), map[string]any{"aws:PrincipalArn": roles})
	s.Dicom.AddToResourcePolicy(statement) // which an existing bucket ignores
}

func allow(sid string, actions []string, resources ...*string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid: jsii.String(sid), Actions: jsii.Strings(actions...), Resources: &resources,
	})
}
