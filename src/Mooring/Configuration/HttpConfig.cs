namespace Mooring.Configuration;

/// <summary>HTTP connections.</summary>
public sealed record HttpConfig
{
    /// <summary>How long an idle client connection is kept.</summary>
    /// <value>Default 620 s, so that it outlives a balancer's 600 s.</value>
    public TimeSpan KeepAlive { get; init; } = TimeSpan.FromSeconds(620);

    /// <summary>How long a client may take to send its request headers.</summary>
    /// <value>Default 30 s.</value>
    public TimeSpan HeadersTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long the machine at the other end, a client's or a server's, may acknowledge nothing before the connection is given up.</summary>
    /// <value>Default 60 s: TCP itself heals what a lost radio link takes; 2 s to 1 h.</value>
    public TimeSpan PeerTimeout { get; init; } = TimeSpan.FromSeconds(60);
}
