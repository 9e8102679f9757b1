namespace Mooring.Upstreams.Stateless;

/// <summary>What all links of one server know of it; there is no session that it would belong to.</summary>
internal sealed class StatelessMemory(TimeProvider time, ILogger logger)
{
    /// <summary>
    /// How long a server counts as one that cannot be listened to. It may be a server behind a balancer of which only some releases know the request, or
    /// something before it that answered: nothing that would be so for good.
    /// </summary>
    private static readonly TimeSpan DeafLasts = TimeSpan.FromMinutes(10);

    private readonly Lock _gate = new();
    private byte[] _discovered = [];
    private DateTimeOffset? _deafUntil;

    public ToolHeaders ToolHeaders { get; } = new(logger);

    /// <summary>Whether it does not know <c>subscriptions/listen</c>: it is not asked to tell of resources then, and its lists are read again and again.</summary>
    public bool CannotListen => DeafFor > TimeSpan.Zero;

    /// <summary>For how long from now on that counts; nothing: it does not.</summary>
    public TimeSpan DeafFor
    {
        get
        {
            lock (_gate)
            {
                return _deafUntil - time.GetUtcNow() is { } left && left > TimeSpan.Zero ? left : TimeSpan.Zero;
            }
        }
    }

    /// <summary>It said that it does not know the request.</summary>
    public void RefusedToListen()
    {
        lock (_gate)
        {
            _deafUntil = time.GetUtcNow() + DeafLasts;
        }
    }

    /// <summary>What <c>server/discover</c> says it can do, raw JSON. Where that is another thing than before, so may be all else that was found out.</summary>
    public void Discovered(ReadOnlySpan<byte> capabilities)
    {
        lock (_gate)
        {
            if (!capabilities.SequenceEqual(_discovered))
            {
                (_discovered, _deafUntil) = (capabilities.ToArray(), null);
            }
        }
    }
}
