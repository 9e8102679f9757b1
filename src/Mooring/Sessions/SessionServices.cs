using Mooring.Configuration;
using Mooring.Policies;
using Mooring.Replicas;
using Mooring.Routing;
using Mooring.Stores;
using Mooring.Streams;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <summary>What every session shares.</summary>
internal sealed class SessionServices(
    ConfigStore config, TimeProvider time, IStore store, UpstreamTable upstreams, Catalogue catalogue, Names names, ListFetcher fetcher, Views views, TaskOwners owners, SharedLinks shared, StreamsMetrics streams, UpstreamMetrics metrics, Peers peers,
    IReplicaStore replicas, StoreOpener opener, Accounts accounts, PolicyTable policies, SessionPlaces places, ILoggerFactory loggers)
{
    public ConfigStore Config => config;

    public TimeProvider Time => time;

    public IStore Store => store;

    /// <summary>Completes when the store is open, or is known to be away.</summary>
    public Task StoreTried => store.IsRemote ? opener.FirstTry : Task.CompletedTask;

    public UpstreamTable Upstreams => upstreams;

    public Accounts Accounts => accounts;

    /// <summary>Who may use what.</summary>
    public PolicyTable Policies => policies;

    public Catalogue Catalogue => catalogue;

    public Names Names => names;

    public ListFetcher Fetcher => fetcher;

    public StreamsMetrics Streams => streams;

    public UpstreamMetrics UpstreamMetrics => metrics;

    /// <summary>The other replicas.</summary>
    public Peers Peers => peers;

    public IReplicaStore Replicas => replicas;

    /// <summary>How many sessions there may be at all replicas together.</summary>
    public SessionPlaces Places => places;

    /// <summary>Whether a failure of the store is worth a line in the log.</summary>
    public StoreOutage Outage { get; } = new(time);

    public Views Views => views;

    /// <summary>Whose a task is.</summary>
    public TaskOwners Owners => owners;

    /// <summary>Links that belong to no single session.</summary>
    public SharedLinks Shared => shared;

    public ILogger Logger { get; } = loggers.CreateLogger("Mooring.Sessions");
}
