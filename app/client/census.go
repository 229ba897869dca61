package client

import (
	"hash/crc32"
	"io"
	"sync"
)

// sampleBytes is how many bytes at the beginning, and at the end, of an instance a census compares.
const sampleBytes = 64 << 10

// census is what a dry run finds out about all instances together: it counts studies, and finds duplicates. It needs about
// 40 bytes of memory for each instance. Safe for concurrent use.
type census struct {
	mu        sync.Mutex
	studies   map[fingerprint]struct{}
	instances map[fingerprint]uint64 // UIDs → sample
}

func newCensus() *census {
	return &census{studies: make(map[fingerprint]struct{}), instances: make(map[fingerprint]uint64)}
}

// add reports whether an earlier instance has the same UIDs, and whether its bytes are different. Only the length and
// sampleBytes at both ends are compared. The number of studies is that of all instances so far.
func (c *census) add(i *instance) (studies int64, twice, different bool, err error) {
	bytes, err := sampleOf(i.candidate)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.studies[fingerprintOf(i.studyInstanceUID, 0, 0)] = struct{}{}
	key := fingerprintOf(i.studyInstanceUID+"\x00"+i.seriesInstanceUID+"\x00"+i.sopInstanceUID, 0, 0)
	before, twice := c.instances[key]
	if !twice {
		c.instances[key] = bytes
	}
	return int64(len(c.studies)), twice, twice && before != bytes, err
}

func sampleOf(c candidate) (uint64, error) {
	file, err := c.readable()
	if err != nil {
		return 0, err
	}
	defer file.Close()
	sum := crc32.New(castagnoli)
	for _, from := range []int64{0, max(sampleBytes, c.size-sampleBytes)} {
		if _, err := io.Copy(sum, io.NewSectionReader(file, from, min(sampleBytes, max(c.size-from, 0)))); err != nil {
			return 0, err
		}
	}
	return uint64(sum.Sum32())<<32 | uint64(uint32(c.size)), nil //nolint:gosec // any bits will do
}

// leave counts the instances that a dry run would send.
func (s *sender) leave(instances []*instance) {
	for _, i := range instances {
		studies, twice, different, err := s.census.add(i)
		if err != nil {
			i.fail(0, describeFileError(err))
			continue
		}
		var tell, last bool
		s.tally.count(func(c *Counts) {
			c.Ready++
			c.ReadyBytes += i.size
			c.Studies = max(c.Studies, studies)
			switch {
			case different:
				c.Different++
				tell, last = c.Different <= mostTold, c.Different == mostTold
			case twice:
				c.Same++
			}
		})
		if different {
			o := outcomeOf(i)
			o.Outcome, o.Detail = "duplicate", whyDuplicate
			s.tally.report.write(o)
		}
		if tell {
			s.progress.note(i.path + ": " + whyDuplicate)
		}
		if last {
			s.progress.note(describeMoreDuplicates())
		}
	}
	s.record(instances)
	s.progress.add(bytesOf(pendingOf(instances)))
}

const whyDuplicate = "another file has the same UIDs and other bytes; a service keeps one of them"

func describeMoreDuplicates() string { return "further ones are only counted, and in --report" }
