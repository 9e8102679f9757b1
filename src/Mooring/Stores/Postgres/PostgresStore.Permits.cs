namespace Mooring.Stores.Postgres;

/// <content>Limits that replicas share.</content>
internal sealed partial class PostgresStore : IPermitStore
{
    public Task<PermitLease> LeasePermitsAsync(string key, int wanted, int limit) => OneAsync(
        PermitRows.LeaseSql,
        to => to.Text(key).Number(wanted).Number(limit),
        row => new PermitLease(row.GetInt32(0), TimeSpan.FromSeconds(row.GetDouble(1))),
        CancellationToken.None);
}
