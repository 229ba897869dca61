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
		if key.arn != "" {
			role.AddToPrincipalPolicy(allow(key.sid, []string{"kms:GenerateDataKey", "kms:Decrypt"}, jsii.String(key.arn)))
		}
	}
	if s.CertificateKey != nil {
		s.CertificateKey.Grant(role, jsii.String("kms:Decrypt"))
	}
}

func allow(sid string, actions []string, resources ...*string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid: jsii.String(sid), Actions: jsii.Strings(actions...), Resources: &resources,
	})
}
