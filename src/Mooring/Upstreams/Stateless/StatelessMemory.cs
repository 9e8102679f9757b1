namespace Mooring.Upstreams.Stateless;

/// <summary>What all links of one server know of it; there is no session that it would belong to.</summary>
internal sealed class StatelessMemory(ILogger logger)
{
    private volatile bool _cannotListen;

    public ToolHeaders ToolHeaders { get; } = new(logger);

    /// <summary>Whether it does not know <c>subscriptions/listen</c>: nobody is promised then to be told of changes.</summary>
    public bool CannotListen
    {
        get => _cannotListen;
        set => _cannotListen = value;
    }
}
