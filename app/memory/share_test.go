package memory_test

import (
	"testing"
	"testing/synctest"
	"time"

	"stowrs-to-s3/app/memory"
)

// Memory is shared by bytes: a sender of small instances has its place until it has had as much as others have with one part of 8 MiB. It does
// not keep it longer by being slow.
func TestSmallInstancesKeepTheirPlace(t *testing.T) {
	const part = 8 << 20 / memory.ChunkBytes
	for name, test := range map[string]struct {
		instances int // of 64 chunks
		each      time.Duration
		before    bool
	}{
		"few":   {part/64 - 2, 0, true},
		"many":  {part / 64, 0, false},
		"slow":  {2, 500 * time.Millisecond, false},
		"quick": {2, 100 * time.Millisecond, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := of(300, 2)
				small, big := l.Line(), l.Line()
				for range test.instances {
					l.Free(take(t, small, 64)...)
					time.Sleep(test.each)
					small.End()
					small.Next(false)
				}
				held := take(t, l.Line(), 200)
				rest := l.Line()
				for {
					chunk, ok := rest.TryChunk()
					if !ok {
						break
					}
					held = append(held, chunk)
				}
				served := make(chan string, 10)
				waiter(t, l.Line(), "the first takes the reserve", served)
				waiter(t, big, "big", served)
				waiter(t, small, "small", served)
				<-served
				l.Free(held[:2]...) // one for the reserve, one for whoever is served next
				synctest.Wait()
				if got := <-served; (got == "small") != test.before {
					t.Errorf("%s was served first", got)
				}
			})
		})
	}
}
