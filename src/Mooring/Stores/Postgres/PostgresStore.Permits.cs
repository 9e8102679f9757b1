namespace Mooring.Stores.Postgres;

/// <content>Limits that replicas share.</content>
internal sealed partial class PostgresStore : IPermitStore
{
    public Task<PermitLease> LeasePermitsAsync(string key, int wanted, int limit) => OneAsync(
        PermitRows.LeaseSql,
        to => to.Text(key).Number(wanted).Number(limit),
        row => new PermitLease(row.GetInt32(0), TimeSpan.FromSeconds(row.GetDouble(1))),
        CancellationToken.None);

    public Task<IReadOnlyList<long>> ShareStreamsAsync(string replica, long stamp, IReadOnlyList<StreamShare> own) => ManyAsync(
        OpenStreamRows.ShareSql,
        to => to.Text(replica).Number(stamp).Texts(own, share => share.Key).Numbers(own, share => (long)share.Streams),
        row => row.GetInt64(0),
        CancellationToken.None);

    public async Task<int> CountSessionsOfAsync(string issuer, string subject, int most) =>
        (int)await OneAsync(SessionRows.CountOfSql, to => to.Text(issuer).Text(subject).Number(most), row => row.GetInt64(0), CancellationToken.None);

    public async Task<int> CountSessionsUpToAsync(int most) =>
        (int)await OneAsync(SessionRows.CountUpToSql, to => to.Number(most), row => row.GetInt64(0), CancellationToken.None);
}
