package memory_test

import (
	"slices"
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
					small.Next(0)
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

// A slow client harms only itself: while it has the right to the reserve, and others wait, it must not make them wait until its part is
// full. But what such clients hold of the reserve is limited, so that the rest is always enough for the turn of the next one.
func TestSlowClientPassesTheReserveOn(t *testing.T) {
	for name, test := range map[string]struct {
		slow   int // chunks that it gets before its client stops
		served bool
	}{"little of it is in use": {4, true}, "much of it is in use": {6, false}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const reserve, lent, others = 4, 4, 12
				l := of(others+lent+reserve, reserve)
				quick, slow := l.Line(), l.Line()
				take(t, quick, 1)
				held := take(t, l.Line(), others-1)
				served := make(chan string, 1)
				take(t, slow, test.slow)
				waiter(t, quick, "quick", served)
				if len(served) > 0 {
					t.Fatal("two have the right to the reserve")
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if (len(served) > 0) != test.served {
					t.Errorf("after a second, %d are served", len(served))
				}
				l.Free(held...)
				<-served
			})
		})
	}
}

// A small instance does not wait until there is room for a large one: the right to the reserve goes to who needs no more of it than is left. One that does
// not say how much it needs has to wait.
func TestSmallTurnFitsBesideSlowOnes(t *testing.T) {
	for name, test := range map[string]struct {
		bytes  int64
		served int
	}{"small": {3 * memory.ChunkBytes, 5}, "large": {4 * memory.ChunkBytes, 0}, "unknown": {-1, 0}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const reserve, lent, others = 20, 4, 12
				l := of(others+lent+reserve, reserve)
				quick, slow := l.Line(), l.Line()
				held := take(t, l.Line(), others)
				held = append(held, take(t, slow, lent+reserve-5)...)
				quick.Expect(test.bytes)
				served := make(chan string, 10)
				for n := range max(test.served, 1) {
					waiter(t, quick, "quick", served)
					time.Sleep(time.Second)
					if synctest.Wait(); len(served) != min(n+1, test.served) {
						t.Fatalf("after a second, %d are served", len(served))
					}
				}
				slow.End()
				l.Free(held...)
				synctest.Wait()
			})
		})
	}
}

// Who has passed the reserve on reads on with what was set aside, as all who hold memory do: so all of them are seen to deliver, or not, at the same time.
func TestWhoHasPassedTheReserveOnReadsOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const reserve, lent, aside = 24, 16, 3
		l := of(3*lent+lent+reserve, reserve)
		quick, slow := l.Line(), l.Line()
		take(t, quick, 1)
		take(t, l.Line(), 3*lent-1-aside)
		take(t, slow, 12)
		served := make(chan string, 3)
		waiter(t, quick, "quick", served)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := <-served; got != "quick" {
			t.Fatal(got)
		}
		take(t, quick, 16) // too much for it to pass the reserve on again
		done := make(chan string, 1)
		waiter(t, slow, "slow", done)
		if len(done) == 0 {
			t.Fatal("it does not read on")
		}
		waiter(t, slow, "slow", served)
		if len(served) > 0 {
			t.Error("it reads on for more than a twelfth of what it holds")
		}
		quick.End()
		<-served
	})
}

// Who is ready at once does not wait for all the others that hold much and began before.
func TestReserveGoesByTurnsToWhoHoldsLeast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := of(20, 4)
		a, b, old, young := l.Line(), l.Line(), l.Line(), l.Line()
		for _, p := range []*memory.Line{a, b, old} {
			take(t, p, 4)
		}
		served := make(chan string, 10)
		waiter(t, a, "a", served)
		waiter(t, young, "young", served)
		waiter(t, old, "old", served)
		waiter(t, b, "b", served)
		var got []string
		for _, p := range []*memory.Line{a, b, young, old} {
			got = append(got, <-served)
			p.End()
			synctest.Wait()
		}
		if want := []string{"a", "b", "young", "old"}; !slices.Equal(got, want) {
			t.Errorf("served were %q, want %q", got, want)
		}
	})
}
