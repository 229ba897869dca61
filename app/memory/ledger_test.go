package memory_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stowrs-to-s3/app/memory"
)

// of makes a ledger of n chunks, with a reserve of r of them.
func of(n, r int64) *memory.Ledger {
	return memory.New(n*memory.ChunkBytes, r*memory.ChunkBytes, 1000)
}

func take(t *testing.T, p *memory.Line, n int) (chunks [][]byte) {
	t.Helper()
	for range n {
		c, err := p.Chunk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		chunks = append(chunks, c)
	}
	return chunks
}

// waiter takes a chunk in its own goroutine, and sends its name when it has it.
func waiter(t *testing.T, p *memory.Line, name string, served chan string) {
	go func() {
		if _, err := p.Chunk(t.Context()); err == nil {
			served <- name
		}
	}()
	synctest.Wait()
}

// The Line that began first is served first, even if others ask earlier; the reserve goes to the first
// in the queue, and to nobody else until its turn has ended.
func TestLineIsServedByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := of(4, 2)
		hog, old, young := l.Line(), l.Line(), l.Line()
		held := take(t, hog, 2)
		served := make(chan string, 10)
		waiter(t, young, "young", served)
		if got := <-served; got != "young" { // it is the only one that waits, so it is the first
			t.Fatal(got)
		}
		waiter(t, old, "old", served)
		if _, ok := young.TryChunk(); !ok {
			t.Error("the first in the line does not get the rest of the reserve")
		}
		if _, ok := hog.TryChunk(); ok {
			t.Error("somebody else than the first in the line got the reserve")
		}
		waiter(t, young, "young", served)
		if len(served) > 0 {
			t.Fatalf("%s was served though nothing is left", <-served)
		}
		l.Free(held[0])
		if got := <-served; got != "young" {
			t.Errorf("%s was served before the first in the line", got)
		}
		young.Next(0) // its turn has ended: its chunks are leaving
		l.Free(held[1])
		if got := <-served; got != "old" {
			t.Errorf("%s was served, want old", got)
		}
		if !l.Short() && len(served) > 0 {
			t.Error("served twice")
		}
	})
}

// A Line that holds much continues to read for a twelfth of it, although others have waited for longer. So
// all clients that hold memory are judged at the same time. Unused chunks come back at the end of the turn.
func TestHoldersReadOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const reserve, lent = 4, 17
		l := of(2*26+reserve+lent, reserve)
		old, holders := l.Line(), []*memory.Line{l.Line(), l.Line()}
		for _, p := range holders {
			take(t, p, 24)
		}
		served := make(chan string, 10)
		waiter(t, old, "old", served)
		if got := <-served; got != "old" { // from the reserve
			t.Fatal(got)
		}
		take(t, old, reserve+lent-1)
		waiter(t, old, "old", served)
		for range 2 {
			for _, p := range holders {
				waiter(t, p, "holder", served)
				if len(served) == 0 {
					t.Fatal("a holder waits, and nobody sees whether its client delivers")
				}
				<-served
			}
		}
		waiter(t, holders[0], "holder", served)
		if len(served) > 0 {
			t.Fatal("a holder reads on for more than a twelfth of what it holds")
		}
		holders[1].End()
		if got := l.InUseBytes(); got != (2*26+reserve+lent)*memory.ChunkBytes {
			t.Errorf("%d bytes are in use; nothing has come back yet", got)
		}
	})
	l := of(26, 0)
	p := l.Line()
	l.Free(take(t, p, 24)...)
	p.End()
	if got := l.InUseBytes(); got != 0 {
		t.Errorf("%d bytes in use after the turn, want 0: what was set aside did not come back", got)
	}
}

// A Line that keeps chunks of its turn also keeps the right to the reserve.
func TestKeeperStaysTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := of(3, 2)
		first, other := l.Line(), l.Line()
		take(t, first, 2) // the second from the reserve
		served := make(chan string, 1)
		waiter(t, other, "other", served)
		first.Next(2)
		if _, ok := first.TryChunk(); !ok {
			t.Error("the keeper has lost the reserve")
		}
		first.Next(0)
		if len(served) > 0 {
			t.Error("the other was served, though nothing is left")
		}
	})
}

// Stalled is about all Lines: while one of them is served, the others will be served later.
func TestStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := of(3, 1)
		hog, a, b := l.Line(), l.Line(), l.Line()
		held := take(t, hog, 2)
		served := make(chan string, 10)
		time.Sleep(time.Hour)
		waiter(t, a, "the first, from the reserve", served)
		waiter(t, b, "b", served)
		time.Sleep(time.Minute)
		if got := l.Stalled(); got != time.Minute {
			t.Errorf("stalled for %v, want a minute", got)
		}
		waiter(t, a, "a", served)
		time.Sleep(time.Minute)
		l.Free(held[0])
		synctest.Wait()
		time.Sleep(time.Second)
		if got := l.Stalled(); got != time.Second {
			t.Errorf("stalled for %v after one was served, want a second", got)
		}
		a.Next(0)
		l.Free(held[1])
		synctest.Wait()
		if got := l.Stalled(); got != 0 || len(served) != 3 {
			t.Errorf("stalled for %v, %d were served; nobody waits", got, len(served))
		}
	})
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := of(2, 1)
		a, b := l.Line(), l.Line()
		held := take(t, a, 2)
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		failed := make(chan error)
		go func() {
			_, err := b.Chunk(ctx)
			failed <- err
		}()
		synctest.Wait()
		cancel(gone)
		if err := <-failed; !errors.Is(err, gone) {
			t.Errorf("got error %v, want %v", err, gone)
		}
		l.Free(held...)
		if got := l.InUseBytes(); got != 0 || l.Short() {
			t.Errorf("%d bytes in use, short %v; want 0, false", got, l.Short())
		}
	})
}

// The argument of the package comment, as a simulation: Lines that need up to the reserve in a
// turn, and give everything back some time after its end, always finish,
// and never hold more than there is.
func TestNoDeadlock(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			size, reserve := int64(20), 6
			if seed%2 == 1 { // turns so long that chunks are set aside
				size, reserve = 60, 30
			}
			l := of(size, int64(reserve))
			var all, leaving sync.WaitGroup
			for n := range uint64(50) {
				random := rand.New(rand.NewPCG(seed, n))
				all.Go(func() {
					p := l.Line()
					defer p.End()
					for range 10 {
						var held [][]byte
						need := 1 + random.IntN(reserve)
						p.Expect([]int64{-1, int64(need) * memory.ChunkBytes}[random.IntN(2)])
						for range need {
							time.Sleep(time.Duration(random.IntN(10)*random.IntN(10)) * time.Millisecond)
							if n%10 == 0 { // slow: it passes the reserve on
								time.Sleep(time.Second)
							}
							held = append(held, take(t, p, 1)...)
							if l.InUseBytes() > size*memory.ChunkBytes {
								t.Error("more than the ledger is in use")
							}
						}
						p.Next(0)
						pause := time.Duration(random.IntN(200)) * time.Millisecond
						leaving.Go(func() {
							time.Sleep(pause)
							l.Free(held...)
						})
					}
				})
			}
			all.Wait() // synctest fails when all goroutines are blocked
			leaving.Wait()
			if got := l.InUseBytes(); got != 0 {
				t.Errorf("%d bytes are in use after all, want 0", got)
			}
		})
	}
}

func TestSpareIsForPlenty(t *testing.T) {
	l := of(12, 2)
	if !l.Spare(4 * memory.ChunkBytes) {
		t.Error("refused although nothing is taken")
	}
	if l.Spare(4 * memory.ChunkBytes) {
		t.Error("granted although less than half would be left")
	}
	l.FreeSpare(4 * memory.ChunkBytes)
	if got := l.InUseBytes(); got != 0 {
		t.Errorf("%d bytes in use, want 0", got)
	}
}

// All requests of KeepBeside together have three quarters, and a refusal of them does not affect others.
func TestKeptBeside(t *testing.T) {
	l := of(1, 0)
	a, b, store := l.KeepBeside(), l.KeepBeside(), l.Keep()
	for _, step := range []struct {
		k    *memory.RequestMemory
		n    int64
		want error
	}{{a, 751, memory.ErrTooMuch}, {a, 500, nil}, {b, 250, nil}, {b, 1, memory.ErrBusy}, {store, 250, nil}} {
		if err := step.k.Take(step.n); !errors.Is(err, step.want) {
			t.Errorf("%d: got error %v, want %v", step.n, err, step.want)
		}
	}
	if l.Short() {
		t.Error("others have to pay")
	}
	a.Release(500)
	if err := b.Take(500); err != nil {
		t.Error(err)
	}
}

func TestKept(t *testing.T) {
	l := of(1, 0)
	a, b := l.Keep(), l.Keep()
	for _, step := range []struct {
		k    *memory.RequestMemory
		n    int64
		want error
	}{{a, 600, nil}, {b, 400, nil}, {b, 1, memory.ErrBusy}, {a, 401, memory.ErrTooMuch}, {b, 601, memory.ErrTooMuch}} {
		if err := step.k.Take(step.n); !errors.Is(err, step.want) {
			t.Errorf("%d: got error %v, want %v", step.n, err, step.want)
		}
	}
	if !l.Short() {
		t.Error("nobody has to pay for what it keeps, though another was refused")
	}
	a.Release(100)
	if err := b.Take(100); err != nil {
		t.Error(err)
	}
	a.Close()
	b.Close()
	if got := l.InUseBytes(); got != 0 {
		t.Errorf("%d bytes in use, want 0", got)
	}
}
