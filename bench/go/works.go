// The works in Go:  works WORK N  (with GOMAXPROCS=1, set by bench/run)
//
// The idiom is that of the Go tour, "Concurrency" (goroutines, channels, select), and of
// package time, "NewTimer" and "Timer.Stop" for timeouts. Go has no unbounded channel:
// where the others use one, the channel has room for all that is put.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"
)

type result struct {
	elapsed time.Duration
	sum     int
	extra   string
}

func resident() int {
	text, _ := os.ReadFile("/proc/self/statm")
	var total, pages int
	fmt.Sscan(string(text), &total, &pages)
	return pages * 4096
}

func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// The *_nowait of the others: a select with a default.
func nowait(n int) result {
	q, sum := make(chan int, 16), 0
	start := time.Now()
	for i := 1; i <= n; i++ {
		select {
		case q <- i:
		default:
			panic("full")
		}
		select {
		case v := <-q:
			sum += v
		default:
			panic("empty")
		}
	}
	return result{time.Since(start), sum, ""}
}

func await(n int) result {
	q, sum := make(chan int, 16), 0
	start := time.Now()
	for i := 1; i <= n; i++ {
		q <- i
		sum += <-q
	}
	return result{time.Since(start), sum, ""}
}

func echo(n int, ping, pong chan int) {
	for i := 0; i < n; i++ {
		pong <- <-ping
	}
}

func pingpong(n int) result {
	ping, pong, sum := make(chan int, 1), make(chan int, 1), 0
	go echo(n, ping, pong)
	start := time.Now()
	for i := 1; i <= n; i++ {
		ping <- i
		sum += <-pong
	}
	return result{time.Since(start), sum, ""}
}

func pipe(n, maxsize int) result {
	q, sum := make(chan int, maxsize), 0
	go func() {
		for i := 1; i <= n; i++ {
			q <- i
		}
	}()
	start := time.Now()
	for i := 0; i < n; i++ {
		sum += <-q
	}
	return result{time.Since(start), sum, ""}
}

func mpmc(n int) result {
	q, finished, sum := make(chan int, 10), make(chan int, 10), 0
	start := time.Now()
	for p := 1; p <= 10; p++ {
		go func(p int) {
			for i := p; i <= n; i += 10 {
				q <- i
			}
		}(p)
		go func() {
			sum := 0
			for i := 0; i < n/10; i++ {
				sum += <-q
			}
			finished <- sum
		}()
	}
	for p := 0; p < 10; p++ {
		sum += <-finished
	}
	return result{time.Since(start), sum, ""}
}

func spawn(n, batch int) result {
	q, sum := make(chan int, batch), 0
	start := time.Now()
	for first := 1; first <= n; first += batch {
		for i := first; i < first+batch; i++ {
			go func(i int) { q <- i }(i)
		}
		for i := 0; i < batch; i++ {
			sum += <-q
		}
	}
	return result{time.Since(start), sum, ""}
}

func getWithin(q chan int, d time.Duration) int {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case v := <-q:
		return v
	case <-timer.C:
		panic("timeout")
	}
}

func ready(n int) result {
	q, sum := make(chan int, 16), 0
	start := time.Now()
	for i := 1; i <= n; i++ {
		q <- i
		sum += getWithin(q, time.Second)
	}
	return result{time.Since(start), sum, ""}
}

func timeout(n int) result {
	ping, pong, sum := make(chan int, 1), make(chan int, 1), 0
	go echo(n, ping, pong)
	start := time.Now()
	for i := 1; i <= n; i++ {
		ping <- i
		sum += getWithin(pong, time.Second)
	}
	return result{time.Since(start), sum, ""}
}

func ring(n, size int) result {
	queues, finished, sum := make([]chan int, size), make(chan bool, 1), 0
	for i := range queues {
		queues[i] = make(chan int, 1)
	}
	for i := range queues {
		go func(from, to chan int) {
			for {
				hops := <-from
				sum += hops
				if hops == 1 {
					finished <- true
				} else {
					to <- hops - 1
				}
			}
		}(queues[i], queues[(i+1)%size])
	}
	queues[0] <- size // one lap before the clock starts
	<-finished
	sum = 0
	start := time.Now()
	queues[0] <- n
	<-finished
	return result{time.Since(start), sum, ""}
}

func memory(n int) result {
	q, started, sums, sum := make(chan int, 16), make(chan bool, 1), make(chan int, 16), 0
	runtime.GC()
	debug.FreeOSMemory()
	before, start, count := resident(), time.Now(), 0
	for i := 0; i < n; i++ {
		go func() {
			if count++; count == n {
				started <- true
			}
			sums <- <-q
		}()
	}
	<-started
	runtime.GC()
	bytes := float64(resident()-before) / float64(n)
	for i := 1; i <= n; i++ {
		q <- i
		sum += <-sums
	}
	return result{time.Since(start), sum, fmt.Sprintf(`,"bytes_per_op":%.1f`, bytes)}
}

func sleepers(n int) result {
	done, asleep, awake, sum, last := make(chan bool, 1), 0, 0, 0, time.Now()
	start, before := time.Now(), cpu()
	for i := 1; i <= n; i++ {
		go func(i int) {
			if asleep++; asleep == n {
				last = time.Now()
			}
			time.Sleep(time.Second)
			sum += i
			if awake++; awake == n {
				done <- true
			}
		}(i)
	}
	<-done
	stop, used := time.Now(), cpu()-before
	return result{stop.Sub(start), sum, fmt.Sprintf(`,"cpu_us_per_op":%.3f,"wall_s":%.4f`,
		used.Seconds()/float64(n)*1e6, stop.Sub(last).Seconds())}
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "hello" {
		q := make(chan string, 1)
		go func() { q <- "hello" }()
		fmt.Println(<-q)
		return
	}
	with := func(f func(n, m int) result, m int) func(int) result {
		return func(n int) result { return f(n, m) }
	}
	works := map[string]func(int) result{
		"nowait": nowait, "await": await, "pingpong": pingpong, "pipe100": with(pipe, 100),
		"pipe1": with(pipe, 1), "mpmc": mpmc, "spawn100": with(spawn, 100), "spawn": with(spawn, 100000),
		"ready": ready, "timeout": timeout, "ring100": with(ring, 100), "ring10000": with(ring, 10000),
		"ring100000": with(ring, 100000), "memory": memory, "sleepers": sleepers,
	}
	n, _ := strconv.Atoi(os.Args[2])
	r := works[os.Args[1]](n)
	if r.sum != n*(n+1)/2 {
		panic("checksum")
	}
	fmt.Printf(`{"work":"%s","ops":%d,"ns_per_op":%.3f,"checksum":%d%s}`+"\n",
		os.Args[1], n, float64(r.elapsed.Nanoseconds())/float64(n), r.sum, r.extra)
}
