//go:build !linux || !(amd64 || arm64)

package mq

// The layouts in this package are those of 64-bit Linux; elsewhere a build stops
// here, with the reason in the name.
var _ = package_mq_needs_linux_on_amd64_or_arm64
