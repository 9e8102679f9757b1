using Mooring.Configuration;
using Mooring.Protocol;

namespace Mooring.Sessions;

/// <content>What its client is, and can do: both are fixed with the session.</content>
internal sealed partial class Session
{
    private (MooringConfig Config, ClientTraits Traits)? _client;
    private int _tasks;
    private int _pages;

    /// <summary>What counts for its client by its name. Of those without sessions one session may stand for several (<see cref="TraitsOf"/>).</summary>
    public ClientTraits Client
    {
        get
        {
            var config = _services.Config.Current;
            lock (_gate)
            {
                if (_client is { } known && ReferenceEquals(known.Config, config))
                {
                    return known.Traits;
                }

                var traits = IsKept ? TraitsOf(JsonFields.Object(_record.InitializeParams.Span, "clientInfo"u8)) : ClientTraits.Usual;
                _client = (config, traits);
                return traits;
            }
        }
    }

    /// <summary>Whether its streams begin with an event that has an id and no data.</summary>
    public bool HasPrimer => Version.HasPrimer() && Client.Primer;

    /// <summary>Whether its client takes tasks of the extension.</summary>
    public bool HasTasks => (_tasks != 0 ? _tasks : _tasks = TasksExtension.IsIn(Capabilities) ? 1 : 2) == 1;

    /// <summary>Whether its client can be asked to have a page visited.</summary>
    public bool OpensPages => (_pages != 0 ? _pages : _pages = Version.HasPages() && JsonFields.Has(JsonFields.Object(Capabilities, "elicitation"u8), "url"u8) ? 1 : 2) == 1;

    private ReadOnlySpan<byte> Capabilities => JsonFields.Object(Record.InitializeParams.Span, "capabilities"u8);

    /// <summary>What counts for the client of one request by what that says of itself.</summary>
    /// <param name="clientInfo">Raw JSON; empty where it says nothing.</param>
    public ClientTraits TraitsOf(ReadOnlySpan<byte> clientInfo) =>
        ClientProfiles.Of(_services.Config.Current).OfClient(JsonFields.String(clientInfo, "name"u8), JsonFields.String(clientInfo, "version"u8));
}
