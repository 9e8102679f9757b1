using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Mooring.Admin;
using Mooring.Audit;
using Mooring.Auth;
using Mooring.Auth.Issuers;
using Mooring.Auth.Server;
using Mooring.Auth.Server.Providers;
using Mooring.Calls;
using Mooring.Configuration;
using Mooring.Drain;
using Mooring.FrontDoor;
using Mooring.Policies;
using Mooring.Replicas;
using Mooring.Routing;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Streams;
using Mooring.Tasks;
using Mooring.Telemetry;
using Mooring.Upstreams;
using Mooring.Upstreams.Stdio;
using Mooring.Vault;

namespace Mooring;

/// <summary>Embeds the gateway in an ASP.NET Core application.</summary>
public static class MooringServiceCollectionExtensions
{
    /// <summary>Adds the gateway. The host listens, and authenticates if it wants to; <see cref="MapMooring"/> adds the paths.</summary>
    /// <param name="services">The application's services.</param>
    /// <param name="store">The configuration in force, and the directory of the embedded store.</param>
    public static IServiceCollection AddMooring(this IServiceCollection services, ConfigStore store)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(store);
        services.AddRouting();
        return services
            .AddTelemetry().AddVault().AddStores(_ => (store.Current.Store, store.DataDirectory))
            .AddAuth().AddStreams().AddUpstreams().AddMooringRouting().AddCalls().AddSessions().AddTasks().AddFrontDoor().AddDrain().AddAdmin();
    }

    /// <inheritdoc cref="AddMooring(IServiceCollection, ConfigStore)"/>
    /// <param name="services">The application's services.</param>
    /// <param name="config">The configuration; <c>listen</c> and <c>tls</c> are the host's business.</param>
    /// <param name="dataDirectory">Where the embedded store lives; made if it is not there.</param>
    public static IServiceCollection AddMooring(this IServiceCollection services, MooringConfig config, string dataDirectory) =>
        services.AddMooring(new ConfigStore(config, dataDirectory));

    /// <summary>Maps every path of the gateway.</summary>
    public static IEndpointRouteBuilder MapMooring(this IEndpointRouteBuilder endpoints)
    {
        endpoints.ServiceProvider.GetRequiredService<Endpoints>().Map(endpoints);
        endpoints.ServiceProvider.GetRequiredService<AuthEndpoints>().Map(endpoints, endpoints.ServiceProvider.GetRequiredService<Gate>().CheckHost);
        endpoints.ServiceProvider.GetRequiredService<ConnectEndpoints>().Map(endpoints);
        endpoints.ServiceProvider.GetRequiredService<HealthEndpoints>().Map(endpoints);
        endpoints.ServiceProvider.GetRequiredService<StatusEndpoint>().Map(endpoints);
        endpoints.ServiceProvider.GetRequiredService<DrainEndpoints>().Map(endpoints);
        endpoints.ServiceProvider.GetRequiredService<ReindexEndpoint>().Map(endpoints);
        // Asked by whoever collects metrics; nobody else needs it.
        endpoints.ServiceProvider.GetRequiredService<CatalogueMetrics>();
        return endpoints;
    }

    private static IServiceCollection AddTelemetry(this IServiceCollection services)
    {
        services.AddMetrics();
        services.TryAddSingleton<MooringMeter>();
        services.TryAddSingleton<PrometheusExporter>();
        services.TryAddSingleton<AuditMetrics>();
        services.TryAddSingleton<AuditLog>();
        services.TryAddSingleton<AuditPace>();
        return services;
    }

    private static IServiceCollection AddAuth(this IServiceCollection services)
    {
        services.TryAddSingleton<AuthMetrics>();
        services.TryAddSingleton<AuthHttp>();
        services.TryAddSingleton<RemoteIssuers>();
        services.AddSingleton<ITokenVerifier, StoredTokens>();
        services.AddSingleton<ITokenVerifier, SignedTokens>();
        services.TryAddSingleton<Authenticator>();
        services.TryAddSingleton<PublicAddress>();
        services.TryAddSingleton<Doorkeeper>();
        services.TryAddSingleton<ResourceMetadata>();
        services.TryAddSingleton<Attempts>();
        services.TryAddSingleton<Clients>();
        services.TryAddSingleton<Browsers>();
        services.TryAddSingleton<Requests>();
        services.TryAddSingleton<IdentityProviders>();
        services.TryAddSingleton<ServerMetadata>();
        services.TryAddSingleton<Registration>();
        services.TryAddSingleton<AuthorizeEndpoint>();
        services.TryAddSingleton<SignInEndpoint>();
        services.TryAddSingleton<SignInFirst>();
        services.TryAddSingleton<KeyFirst>();
        services.TryAddSingleton<ConsentEndpoint>();
        services.TryAddSingleton<GrantEndpoint>();
        services.TryAddSingleton<AuthEndpoints>();
        services.AddSingleton<IHeartbeatHandler>(s => s.GetRequiredService<Authenticator>());
        return services;
    }

    private static IServiceCollection AddVault(this IServiceCollection services)
    {
        services.TryAddSingleton<KeyWrappers>();
        services.TryAddSingleton<KeyRing>();
        services.TryAddSingleton<StoreSeal>();
        services.TryAddSingleton<Credentials>();
        services.TryAddSingleton<Providers>();
        services.TryAddSingleton(s => new VaultHttp(s.GetRequiredService<TimeProvider>()));
        services.TryAddSingleton<TokenRequests>();
        services.TryAddSingleton<VaultMetrics>();
        services.TryAddSingleton<Tokens>();
        services.TryAddSingleton<TokenExchange>();
        services.TryAddSingleton<VaultUpkeep>();
        services.TryAddSingleton<OAuthDiscovery>();
        services.TryAddSingleton<ClientRegistrations>();
        services.TryAddSingleton<AccountLinks>();
        services.TryAddSingleton<AccountRemoval>();
        services.TryAddSingleton<IStoreSeal>(s => s.GetRequiredService<StoreSeal>());
        return services;
    }

    private static IServiceCollection AddStreams(this IServiceCollection services)
    {
        services.TryAddSingleton<StreamsMetrics>();
        services.TryAddSingleton<StreamTable>();
        services.TryAddSingleton<Heartbeat>();
        services.AddSingleton<IHeartbeatHandler>(s => s.GetRequiredService<StreamTable>());
        return services;
    }

    private static IServiceCollection AddUpstreams(this IServiceCollection services)
    {
        services.TryAddSingleton<ProcessGuard>();
        services.TryAddSingleton<UpstreamMetrics>();
        services.TryAddSingleton<UpstreamServices>();
        services.TryAddSingleton(s => s.GetRequiredService<UpstreamServices>().Eras);
        services.TryAddSingleton<UpstreamTable>();
        services.TryAddSingleton<Accounts>();
        return services;
    }

    private static IServiceCollection AddMooringRouting(this IServiceCollection services)
    {
        services.TryAddSingleton<Catalogue>();
        services.TryAddSingleton<TaskOwners>();
        services.TryAddSingleton<BridgedTasks>();
        services.TryAddSingleton<MergedTasks>();
        services.TryAddSingleton<Destinations>();
        services.TryAddSingleton<PolicyTable>();
        services.TryAddSingleton<Permits>();
        services.TryAddSingleton<Lists>();
        services.TryAddSingleton<Wishes>();
        services.TryAddSingleton<ListFetcher>();
        services.TryAddSingleton<CatalogueMetrics>();
        services.TryAddSingleton<Names>();
        services.TryAddSingleton<Views>();
        services.TryAddSingleton<Router>();
        return services;
    }

    private static IServiceCollection AddCalls(this IServiceCollection services)
    {
        services.TryAddSingleton<CallsMetrics>();
        services.TryAddSingleton<ReplayPolicy>();
        services.TryAddSingleton<CommitPolicy>();
        services.TryAddSingleton<ServerTasks>();
        services.TryAddSingleton<CallRunner>();
        services.TryAddSingleton<CallsLeftBehind>();
        services.TryAddSingleton<HomeCalls>();
        services.AddSingleton<IHeartbeatHandler>(s => s.GetRequiredService<HomeCalls>());
        return services;
    }

    private static IServiceCollection AddSessions(this IServiceCollection services)
    {
        services.TryAddSingleton<Peers>();
        services.TryAddSingleton<SessionMetrics>();
        services.TryAddSingleton<SharedLinks>();
        services.TryAddSingleton<SessionPlaces>();
        services.TryAddSingleton<StreamPlaces>();
        services.TryAddSingleton<SessionServices>();
        services.TryAddSingleton<SessionTable>();
        services.TryAddSingleton<StatelessSessions>();
        services.TryAddSingleton<SessionSweeper>();
        services.AddSingleton<IHeartbeatHandler>(s => s.GetRequiredService<SharedLinks>());
        services.AddSingleton<IHeartbeatHandler>(s => s.GetRequiredService<SessionSweeper>());
        services.AddSingleton<IHeartbeatHandler>(s => s.GetRequiredService<StreamPlaces>());
        return services;
    }

    private static IServiceCollection AddTasks(this IServiceCollection services)
    {
        services.TryAddSingleton<TasksMetrics>();
        services.TryAddSingleton<TaskNews>();
        services.TryAddSingleton<HeldTasks>();
        services.TryAddSingleton<TasksLeftBehind>();
        services.AddSingleton<IHeartbeatHandler>(s => s.GetRequiredService<TaskNews>());
        return services;
    }

    private static IServiceCollection AddFrontDoor(this IServiceCollection services)
    {
        services.TryAddSingleton<Gate>();
        services.TryAddSingleton<GraceQueue>();
        services.TryAddSingleton<CallRate>();
        services.TryAddSingleton<Intake>();
        services.TryAddSingleton<FrontDoorServices>();
        services.TryAddSingleton<Initializer>();
        services.TryAddSingleton<ClientMessages>();
        services.TryAddSingleton<Discovery>();
        services.TryAddSingleton<ParamHeaders>();
        services.TryAddSingleton<Interests>();
        services.TryAddSingleton<Listening>();
        services.TryAddSingleton<ParkedCalls>();
        services.TryAddSingleton<PassedRetries>();
        services.TryAddSingleton<TaskThresholds>();
        services.TryAddSingleton<TaskMethods>();
        services.TryAddSingleton<LeftTasks>();
        services.TryAddSingleton<IBridgedTaskHolder, SessionTasks>();
        services.TryAddSingleton<LeftCalls>();
        services.TryAddSingleton<StatelessHttp>();
        services.TryAddSingleton<StreamableHttp>();
        services.TryAddSingleton<LegacySse>();
        services.TryAddSingleton<Endpoints>();
        services.TryAddSingleton<StatusEndpoint>();
        services.TryAddSingleton<AccountsPage>();
        services.TryAddSingleton<ConnectEndpoints>();
        services.AddSingleton<IHeartbeatHandler>(s => s.GetRequiredService<GraceQueue>());
        services.AddSingleton<IHeartbeatHandler>(s => s.GetRequiredService<ParkedCalls>());
        services.AddSingleton<IHeartbeatHandler>(s => s.GetRequiredService<TaskThresholds>());
        return services;
    }

    private static IServiceCollection AddDrain(this IServiceCollection services)
    {
        services.TryAddSingleton<Readiness>();
        services.TryAddSingleton<GatewayDrain>();
        services.TryAddSingleton<LeftBehind>();
        services.TryAddSingleton<IHeir>(s => s.GetRequiredService<LeftBehind>());
        services.AddSingleton<IHostedService, MooringService>();
        return services;
    }

    private static IServiceCollection AddAdmin(this IServiceCollection services)
    {
        services.TryAddSingleton<HealthEndpoints>();
        services.TryAddSingleton<DrainEndpoints>();
        services.TryAddSingleton<ReindexEndpoint>();
        return services;
    }
}
