namespace Mooring.Configuration;

/// <summary>One timeout in force.</summary>
/// <param name="Setting">Its path.</param>
/// <param name="Rule">What it must be shorter or longer than, and why.</param>
internal sealed record TimeoutRow(string Setting, TimeSpan Value, string Origin, string Rule);

/// <summary>
/// The timeouts of one connection from the client's side to the server's, and where the chain is broken: a longer one inside a
/// shorter one makes someone in the middle cut what both ends still want.
/// </summary>
internal sealed record TimeoutChain(IReadOnlyList<TimeoutRow> Rows, IReadOnlyList<string> Warnings)
{
    /// <summary>The default idle limit of AWS ALB and of nginx (proxy_read_timeout).</summary>
    private static readonly TimeSpan UsualIdleLimit = TimeSpan.FromSeconds(60);

    /// <summary>Idle connections towards the gateway are kept this long by Google's balancer, the longest of the common ones.</summary>
    private static readonly TimeSpan BalancerKeepAlive = TimeSpan.FromSeconds(600);

    /// <summary>Node's fetch ends a response after 300 s without a byte (undici bodyTimeout).</summary>
    private static readonly TimeSpan ClientIdleLimit = TimeSpan.FromSeconds(300);

    /// <summary>What Kubernetes and ECS give between asking and killing; docker stop gives 10 s, systemd 90 s.</summary>
    private static readonly TimeSpan UsualStop = TimeSpan.FromSeconds(30);

    /// <param name="originOf">Where a setting is from.</param>
    /// <param name="environment">Tells what the process runs under, hence how long a stop may take.</param>
    public static TimeoutChain Of(MooringConfig config, Func<string, string> originOf, IReadOnlyDictionary<string, string> environment)
    {
        var stop = config.Drain.Longest;
        var platform = Platform(environment);
        TimeoutRow Row(string setting, TimeSpan value, string rule) => new(setting, value, originOf(setting), rule);
        TimeoutRow[] rows =
        [
            Row("keepAlive.interval", config.KeepAlive.Interval,
                $"a comment on every open stream; below the shortest idle limit on the path, usually {DurationText.Format(UsualIdleLimit)}"),
            Row("http.keepAlive", config.Http.KeepAlive,
                $"an idle client connection; above the balancer's own, at most {DurationText.Format(BalancerKeepAlive)}"),
            Row("http.peerTimeout", config.Http.PeerTimeout, "a machine that acknowledges nothing any more, a client's or a server's, is given up"),
            Row("http.headersTimeout", config.Http.HeadersTimeout, "a client sends its request headers"),
            Row("calls.grace", config.Calls.Grace, "a POST is undecided between JSON and event stream; below the keep-alive interval"),
            Row("calls.firstListWait", config.Calls.FirstListWait, "the first list ever of a server is waited for"),
            Row("calls.taskAfter", config.Calls.TaskAfter, "a call becomes a task where its client takes tasks; 0: never"),
            Row("calls.deadline", config.Calls.Deadline, "silence of one call; below its hard cap"),
            Row("calls.hardCap", config.Calls.HardCap, "one call, with progress or without"),
            Row("streams.writeTimeout", config.Streams.WriteTimeout, "a slow reader takes what was written"),
            Row("streams.retry", config.Streams.Retry, "a client waits before it reconnects; far below the age of the event log"),
            Row("eventLog.age", config.EventLog.Age, "events wait for a client that comes back; below the idle time of sessions"),
            Row("cache.maxStale", config.Cache.MaxStale, "sessions in memory are served while the store cannot be asked"),
            Row("sessions.idle", config.Sessions.Idle, "a session without requests and streams"),
            Row("drain.delay", config.Drain.Delay, "unready but serving; longer than the balancer needs to notice"),
            Row("drain.grace", config.Drain.Grace, "calls finish after that; the rest is then ended"),
            new("a stop in all", stop, "their sum",
                $"delay, grace and {DurationText.Format(2 * DrainConfig.AbortPatience)} to end the rest; " + (platform is { } known
                    ? $"below the {DurationText.Format(known.Grace)} that {known.Name} gives before it kills"
                    : $"below the time the platform gives before it kills, usually {DurationText.Format(UsualStop)}")),
        ];
        return new(rows, [.. Breaks(config, stop, platform)]);
    }

    private static IEnumerable<string> Breaks(MooringConfig config, TimeSpan stop, (string Name, TimeSpan Grace, string Setting)? platform)
    {
        var latest = config.KeepAlive.Interval * (1 + config.KeepAlive.Jitter);
        if (latest >= ClientIdleLimit)
        {
            yield return $"keepAlive.interval: up to {DurationText.Format(latest)} of silence; clients on Node give a stream up after {DurationText.Format(ClientIdleLimit)}.";
        }
        else if (latest >= UsualIdleLimit)
        {
            yield return $"keepAlive.interval: up to {DurationText.Format(latest)} of silence; most balancers and proxies cut a stream after {DurationText.Format(UsualIdleLimit)}.";
        }

        if (config.Http.KeepAlive <= BalancerKeepAlive)
        {
            yield return $"http.keepAlive: {DurationText.Format(config.Http.KeepAlive)} is not above the {DurationText.Format(BalancerKeepAlive)} "
                + "that some balancers keep idle connections; they will now and then answer 502 to a request sent into a closed one.";
        }

        if (config.Calls.Grace >= config.KeepAlive.Interval)
        {
            yield return "calls.grace: not below keepAlive.interval, so an undecided POST is silent for longer than a stream may be.";
        }

        foreach (var (setting, deadline) in config.Servers.Where(s => s.Deadline is not null)
            .Select(s => (ConfigPath.Member(ConfigPath.Member("mcpServers", s.Name), "deadline"), s.Deadline!.Value))
            .Prepend(("calls.deadline", config.Calls.Deadline)))
        {
            if (deadline > config.Calls.HardCap)
            {
                yield return $"{setting}: {DurationText.Format(deadline)} is above calls.hardCap ({DurationText.Format(config.Calls.HardCap)}), which ends every call first.";
            }
        }

        if (config.EventLog.Age <= config.Streams.Retry)
        {
            yield return "eventLog.age: not above streams.retry, so events are gone before a client may come back for them.";
        }

        if (config.EventLog.Age > config.Sessions.Idle)
        {
            yield return "eventLog.age: above sessions.idle, so the session is gone before its events.";
        }

        if (platform is { } known && stop >= known.Grace)
        {
            // These are the platforms' defaults; what a deployment really sets cannot be seen from inside.
            yield return $"drain.delay and drain.grace: a stop takes up to {DurationText.Format(stop)}, but {known.Name} kills after {DurationText.Format(known.Grace)} unless told otherwise. "
                + $"Lower drain.grace or raise {known.Setting}.";
        }
    }

    // Only what surely runs the process is named: a warning at every start on a laptop would train people not to read them.
    private static (string Name, TimeSpan Grace, string Setting)? Platform(IReadOnlyDictionary<string, string> environment) =>
        environment.ContainsKey("KUBERNETES_SERVICE_HOST") ? ("Kubernetes", TimeSpan.FromSeconds(30), "terminationGracePeriodSeconds")
        : environment.ContainsKey("ECS_CONTAINER_METADATA_URI_V4") ? ("ECS", TimeSpan.FromSeconds(30), "stopTimeout")
        : environment.ContainsKey("DOTNET_RUNNING_IN_CONTAINER") ? ("docker stop", TimeSpan.FromSeconds(10), "--stop-timeout")
        : environment.ContainsKey("INVOCATION_ID") ? ("systemd", TimeSpan.FromSeconds(90), "TimeoutStopSec")
        : null;
}
