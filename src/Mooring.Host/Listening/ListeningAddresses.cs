using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;

namespace Mooring.Host.Listening;

/// <summary>Where the started gateway really listens, with the ports that the system chose.</summary>
internal static class ListeningAddresses
{
    public static IReadOnlyList<string> Of(WebApplication app)
    {
        var server = app.Services.GetRequiredService<IServer>();
        var addresses = server.Features.Get<IServerAddressesFeature>()?.Addresses ?? [];
        return [.. addresses.Where(a => !a.EndsWith("//" + PriorKnowledgeEndPoint.Name, StringComparison.Ordinal))];
    }
}
