namespace Mooring.Upstreams.Stateless;

/// <summary>How requests reach a server without sessions: each as a POST of its own, or all on one channel.</summary>
internal interface IStatelessLeg : IAsyncDisposable
{
    bool IsUsable { get; }

    /// <inheritdoc cref="Link.TellsRequests"/>
    bool TellsRequests { get; }

    /// <inheritdoc cref="Link.HoldsState"/>
    bool HoldsState { get; }

    /// <summary>What ended it; only where <see cref="IsUsable"/> is false.</summary>
    string EndReason { get; }

    /// <summary>Hands everything that belongs to no request to this link. Before anything is sent.</summary>
    void Attach(StatelessLink link);

    /// <summary>Sends a request and waits for how it ends, and for what comes of that (<see cref="StatelessRequest.EndAsync"/>); what comes before is handed to <see cref="PendingRequest.OnRelated(Link, Mooring.Protocol.Frame)"/>. One that is abandoned is cancelled at the server.</summary>
    ValueTask<Attempt> CallAsync(StatelessRequest request);

    /// <summary>Tells a server that asked, against the version's rules, that it gets no answer; nothing where there is no way to.</summary>
    void Refuse(ReadOnlySpan<byte> id);
}
