package client

import (
	"context"
	"slices"
)

// postpone keeps instances for the second pass, and returns those for which there is no room.
func (s *sender) postpone(instances []*instance) (rest []*instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	room := min(len(instances), mostPostponed-len(s.postponed))
	s.postponed = append(s.postponed, instances[:room]...)
	return instances[room:]
}

// secondPass sends the postponed instances again.
func (s *sender) secondPass(ctx context.Context) {
	if len(s.postponed) == 0 || ctx.Err() != nil {
		return
	}
	s.progress.note(describeSecond(len(s.postponed)))
	var batches [][]*instance
	for batch := range slices.Chunk(s.postponed, s.options.Batch) {
		batches = append(batches, apart(batch)...)
	}
	s.deliver(ctx, batches, true)
}
