using Mooring.Routing;
using Mooring.Streams;

namespace Mooring.Sessions;

/// <summary>A request of a client without sessions that stays open to hear what its servers say of their own accord.</summary>
/// <param name="connection">Where it is told.</param>
/// <param name="kinds">The lists whose changes it wants to hear of.</param>
/// <param name="hear">Told what was said, on one line; passes on what the client asked for. Must not block.</param>
/// <param name="end">Told that there is nothing to be heard any more, nor anyone else to hear it from.</param>
internal sealed class Listener(SseConnection connection, IReadOnlySet<ListKind> kinds, Action<byte[]> hear, Action<StreamReason> end)
{
    public SseConnection Connection => connection;

    public IReadOnlySet<ListKind> Kinds => kinds;

    public void Hear(byte[] line) => hear(line);

    public void End(StreamReason reason) => end(reason);
}
