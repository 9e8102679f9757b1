using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Mooring.Connectors;

public static class ConnectorsServiceCollectionExtensions
{
    /// <summary>Adds <see cref="ConnectorFactory"/>; needs logging, which every host has.</summary>
    public static IServiceCollection AddMooringConnectors(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<ConnectorFactory>();
        return services;
    }
}
