package config

import "testing"

// aKey is the beginning of the ARN of a KMS key; the id follows.
const aKey = "arn:aws:kms:us-east-1:123456789012:key/"

// Each rule of existing keys and buckets, alone.
func TestExistingRules(t *testing.T) {
	testRules(t, map[string]rule{
		"key of S3's keys": {func(c *Config) {
			c.Storage.Encryption, c.Storage.ExistingDicomKey = S3Managed, aKey+"0"
		}, "Storage.ExistingDicomKey", "set Encryption to KMS"},
		"records key by alias":     {func(c *Config) { c.Storage.ExistingRecordsKey = "alias/records" }, "Storage.ExistingRecordsKey", "is not the ARN of a key in us-east-1"},
		"certificate key by alias": {func(c *Config) { c.Storage.ExistingCertificateKey = "alias/certs" }, "Storage.ExistingCertificateKey", "is not the ARN of a key in us-east-1"},
		"images among logs": {func(c *Config) {
			c.Storage.ExistingDicomKey, c.Storage.ExistingRecordsKey = aKey+"0", aKey+"0"
		}, "Storage.ExistingRecordsKey", "could decrypt images"},
		"certificates among logs": {func(c *Config) {
			c.Storage.ExistingCertificateKey, c.Storage.ExistingRecordsKey = aKey+"0", aKey+"0"
		}, "Storage.ExistingCertificateKey", "are kept apart"},
		"logs into a folder": {func(c *Config) { c.Storage.ExistingLogBucket = "logs/stow" }, "Storage.ExistingLogBucket", "is not the name of a bucket"},
		"logs among images": {func(c *Config) {
			c.Storage.ExistingDicomBucket, c.Storage.ExistingLogBucket = "images", "images"
		}, "Storage.ExistingLogBucket", "write a bucket for logs alone"},
	})
}
