package stowrs

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	"stowrs-to-s3/infra/config"
)

// certificateFiles are the files that nginx reads from the certificate bucket.
func certificateFiles() []string {
	return []string{"certificate.crt", "certificate.key", "truststore.crt", "crl.pem"}
}

// access is what the tasks may do with the buckets, and nothing else; the package comment of app/s3store says why each
// action is needed. A grant of CDK would allow more: tags, legal holds and, for reading, every object.
// The task role has it, and the policy of the S3 endpoint.
func (s Storage) access(cfg config.Config) []awsiam.PolicyStatement {
	// GetObject is for HeadObject: whether an object whose acknowledgement was lost is stored, and has the same bytes.
	onObjects := []string{"s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:GetObject"}
	keys := "*"
	if prefix := strings.Trim(strings.TrimSpace(cfg.Service.App.Env.Prefix), "/"); prefix != "" {
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
			// Without it S3 says "forbidden" for a file that does not exist. A missing revocation list must be distinguished from one
			// that cannot be read, otherwise revoked clients could be admitted.
			allow("FindCertificates", []string{"s3:ListBucket"}, s.Certificates.BucketArn()))
	}
	return statements
}

// grantKeys allows the role to use the keys of the buckets: S3 asks for a data key for each object (or each bucket key), and
// decrypts it to continue a multipart upload.
func (s Storage) grantKeys(cfg config.Config, role awsiam.Role) {
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

// guardArchive allows only the tasks and BreakGlassRoles to change objects in the new bucket for DICOM, whatever IAM allows others. It denies
// no action on the bucket itself: whoever may write its policy can remove this, so that nobody is locked out, and CloudFormation still works.
// Lifecycle rules belong to S3, and no bucket policy applies to them. A request without a principal is denied, too.
func (s Storage) guardArchive(cfg config.Config, tasks awsiam.Role) {
	roles := []*string{tasks.RoleArn()}
	for _, arn := range cfg.Audit.BreakGlassRoles {
		roles = append(roles, jsii.String(arn))
	}
	// PutObject* also covers tags, legal holds and retention; Replicate* covers the replication of another bucket into this one.
	statement := allow("OnlyTheServiceWrites", []string{"s3:PutObject*", "s3:DeleteObject*", "s3:Replicate*", "s3:BypassGovernanceRetention"}, s.Dicom.ArnForObjects(jsii.String("*")))
	statement.SetEffect(awsiam.Effect_DENY)
	statement.AddAnyPrincipal()
	// The ARN of a role; it also matches sessions of the role.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn
	statement.AddCondition(jsii.String("ArnNotEquals"), map[string]any{"aws:PrincipalArn": roles})
	s.Dicom.AddToResourcePolicy(statement) // an existing bucket ignores this
}

func allow(sid string, actions []string, resources ...*string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid: jsii.String(sid), Actions: jsii.Strings(actions...), Resources: &resources,
	})
}
