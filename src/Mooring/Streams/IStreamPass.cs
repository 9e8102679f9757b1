namespace Mooring.Streams;

/// <summary>What lets somebody have a stream open: an identity that may expire or be taken away meanwhile. The user of a request may be one.</summary>
internal interface IStreamPass
{
    /// <summary>Whether it was taken away, and did not just expire.</summary>
    bool IsRevoked { get; }

    /// <summary>A stream is opened with it. The token is cancelled when it counts no longer.</summary>
    CancellationToken Open();

    /// <summary>That stream is over.</summary>
    void Close();
}
