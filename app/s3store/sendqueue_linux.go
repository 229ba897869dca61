package s3store

import "golang.org/x/sys/unix"

// sendQueueBytes is how much of a TCP socket's data is not acknowledged (tcp(7), SIOCOUTQ); 0 if it is closed.
func sendQueueBytes(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}
