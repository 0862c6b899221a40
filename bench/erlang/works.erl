%% The works in Erlang:  erl -noshell +S 1 -pa DIR -run works main WORK N
%%
%% The idiom is that of the Erlang reference manual, "Processes" (spawn, send, receive,
%% receive ... after). A mailbox is an unbounded queue with one reader; a bound is kept by
%% the reader's acknowledgements, and a queue with several readers (mpmc) is a process.
-module(works).
-export([main/1, hello/0]).

now_ns() -> erlang:monotonic_time(nanosecond).

resident() ->
    {ok, Text} = file:read_file("/proc/self/statm"),
    [_, Pages | _] = string:lexemes(Text, " "),
    binary_to_integer(Pages) * 4096.

%% Runs F in this process and gives back how long it took.
timed(F) ->
    Start = now_ns(),
    Sum = F(),
    {now_ns() - Start, Sum, ""}.

mailbox(0, Sum) -> Sum;
mailbox(N, Sum) ->
    self() ! N,
    receive I -> mailbox(N - 1, Sum + I) end.

ready(0, Sum) -> Sum;
ready(N, Sum) ->
    self() ! N,
    receive I -> ready(N - 1, Sum + I) after 1000 -> exit(timeout) end.

echo(Peer) -> receive I -> Peer ! I, echo(Peer) end.

ping(_, 0, Sum) -> Sum;
ping(Peer, N, Sum) ->
    Peer ! N,
    receive I -> ping(Peer, N - 1, Sum + I) end.

ping_within(_, 0, Sum) -> Sum;
ping_within(Peer, N, Sum) ->
    Peer ! N,
    receive I -> ping_within(Peer, N - 1, Sum + I) after 1000 -> exit(timeout) end.

%% A producer that is allowed Room items more than are acknowledged.
produce(_, 0, _) -> ok;
produce(To, N, 0) -> receive ack -> produce(To, N, 1) end;
produce(To, N, Room) -> To ! {item, self(), N}, produce(To, N - 1, Room - 1).

consume(0, Sum) -> Sum;
consume(N, Sum) ->
    receive {item, From, I} -> From ! ack, consume(N - 1, Sum + I) end.

pipe(N, Room) ->
    Me = self(),
    spawn(fun() -> produce(Me, N, Room) end),
    timed(fun() -> consume(N, 0) end).

%% A bounded queue as a process: put waits for ok, get for the item.
queue(Items, Size, Max) ->
    receive
        {put, From, I} when Size < Max -> From ! ok, queue(queue:in(I, Items), Size + 1, Max);
        {get, From} when Size > 0 ->
            {{value, I}, Rest} = queue:out(Items),
            From ! {item, I},
            queue(Rest, Size - 1, Max)
    end.

put_all(_, I, N, _) when I > N -> ok;
put_all(Q, I, N, Step) ->
    Q ! {put, self(), I},
    receive ok -> put_all(Q, I + Step, N, Step) end.

get_all(_, 0, Sum) -> Sum;
get_all(Q, N, Sum) ->
    Q ! {get, self()},
    receive {item, I} -> get_all(Q, N - 1, Sum + I) end.

sum_up(0, Sum) -> Sum;
sum_up(N, Sum) -> receive I -> sum_up(N - 1, Sum + I) end.

mpmc(N) ->
    timed(fun() ->
        Me = self(),
        Q = spawn(fun() -> queue(queue:new(), 0, 10) end),
        [begin
             spawn(fun() -> put_all(Q, P, N, 10) end),
             spawn(fun() -> Me ! get_all(Q, N div 10, 0) end)
         end || P <- lists:seq(1, 10)],
        sum_up(10, 0)
    end).

spawn_batch(_, I, Last) when I > Last -> ok;
spawn_batch(Me, I, Last) ->
    spawn(fun() -> Me ! I end),
    spawn_batch(Me, I + 1, Last).

spawn_all(First, N, _, Sum) when First > N -> Sum;
spawn_all(First, N, Batch, Sum) ->
    spawn_batch(self(), First, First + Batch - 1),
    spawn_all(First + Batch, N, Batch, sum_up(Batch, Sum)).

%% The members of a ring add up what they see and tell it when they are asked.
member(Next, Main, Sum) ->
    receive
        {next, P} -> member(P, Main, Sum);
        1 -> Main ! finished, member(Next, Main, Sum + 1);
        sum -> Main ! {sum, Sum};
        Hops -> Next ! Hops - 1, member(Next, Main, Sum + Hops)
    end.

ring(N, Size) ->
    Me = self(),
    Members = [spawn(fun() -> member(none, Me, 0) end) || _ <- lists:seq(1, Size)],
    [First | Others] = Members,
    lists:foreach(fun({P, Next}) -> P ! {next, Next} end, lists:zip(Members, Others ++ [First])),
    First ! Size, % one lap before the clock starts
    receive finished -> ok end,
    {Time, _, _} = timed(fun() -> First ! N, receive finished -> ok end end),
    Total = lists:sum([begin P ! sum, receive {sum, S} -> S end end || P <- Members]),
    {Time, Total - Size * (Size + 1) div 2, ""}.

memory(N) ->
    Me = self(),
    erlang:garbage_collect(),
    Before = resident(),
    {Time, {Sum, Bytes}, _} = timed(fun() ->
        Pids = [spawn(fun() -> receive I -> Me ! I end end) || _ <- lists:seq(1, N)],
        erlang:yield(),
        B = (resident() - Before) / N,
        lists:foldl(fun(P, I) -> P ! I, I + 1 end, 1, Pids),
        {sum_up(N, 0), B}
    end),
    {Time, Sum, io_lib:format(",\"bytes_per_op\":~.1f", [Bytes])}.

sleepers(N) ->
    Me = self(),
    {Cpu, _} = statistics(runtime),
    {Time, {Sum, Wall}, _} = timed(fun() ->
        [spawn(fun() ->
             I =:= N andalso (Me ! {last, now_ns()}),
             receive after 1000 -> Me ! I end
         end) || I <- lists:seq(1, N)],
        Last = receive {last, T} -> T end,
        S = sum_up(N, 0),
        {S, now_ns() - Last}
    end),
    {Cpu2, _} = statistics(runtime),
    {Time, Sum, io_lib:format(",\"cpu_us_per_op\":~.3f,\"wall_s\":~.4f", [(Cpu2 - Cpu) * 1000 / N, Wall / 1.0e9])}.

run("nowait", N) -> timed(fun() -> mailbox(N, 0) end);
run("await", N) -> timed(fun() -> mailbox(N, 0) end);
run("pingpong", N) ->
    Me = self(),
    Peer = spawn(fun() -> echo(Me) end),
    timed(fun() -> ping(Peer, N, 0) end);
run("pipe100", N) -> pipe(N, 100);
run("pipe1", N) -> pipe(N, 1);
run("mpmc", N) -> mpmc(N);
run("spawn100", N) -> timed(fun() -> spawn_all(1, N, 100, 0) end);
run("spawn", N) -> timed(fun() -> spawn_all(1, N, 100000, 0) end);
run("ready", N) -> timed(fun() -> ready(N, 0) end);
run("timeout", N) ->
    Me = self(),
    Peer = spawn(fun() -> echo(Me) end),
    timed(fun() -> ping_within(Peer, N, 0) end);
run("ring100", N) -> ring(N, 100);
run("ring10000", N) -> ring(N, 10000);
run("ring100000", N) -> ring(N, 100000);
run("memory", N) -> memory(N);
run("sleepers", N) -> sleepers(N).

main([Work, Text]) ->
    N = list_to_integer(Text),
    {Time, Sum, Extra} = run(Work, N),
    Sum = N * (N + 1) div 2, % or badmatch: checksum
    io:format("{\"work\":\"~s\",\"ops\":~b,\"ns_per_op\":~.3f,\"checksum\":~b~s}~n", [Work, N, Time / N, Sum, Extra]),
    halt(0).

hello() ->
    Me = self(),
    spawn(fun() -> Me ! "hello" end),
    receive Text -> io:format("~s~n", [Text]) end,
    halt(0).
