//! Who was here last, in a table of the plugin's own.

use partyline_plugin::database::{Database, Migrations, Pool, WriteJob, WriteTx};
use partyline_plugin::protocol::{AppKey, ClientId, IdError, Username};
use partyline_plugin::{DeviceKey, Owner, async_trait, sqlx};

/// The same statement serves both databases.
const TABLE: &[(&str, &str)] = &[(
    "online",
    "CREATE TABLE presence_online (
        app TEXT NOT NULL,
        -- 'device', 'anonymous', or 'user:' and a name.
        owner TEXT NOT NULL,
        client TEXT NOT NULL,
        PRIMARY KEY (app, owner, client)
    )",
)];

pub(super) const MIGRATIONS: Migrations = Migrations {
    sqlite: TABLE,
    postgres: TABLE,
};

/// App, owner and client id.
pub(super) type Row = (String, String, String);

/// Some of the devices that were here: those that come next after this one.
pub(super) async fn online(database: &Database, after: &Row) -> Result<Vec<Row>, sqlx::Error> {
    const QUERY: &str = "SELECT app, owner, client FROM presence_online
         WHERE (app, owner, client) > ($1, $2, $3) ORDER BY app, owner, client LIMIT 500";
    let (app, owner, client) = after;
    match database.pool() {
        Pool::Sqlite { reader, .. } => {
            let query = sqlx::query_as(QUERY).bind(app).bind(owner).bind(client);
            query.fetch_all(reader).await
        }
        Pool::Postgres(pool) => {
            let query = sqlx::query_as(QUERY).bind(app).bind(owner).bind(client);
            query.fetch_all(pool).await
        }
    }
}

/// The device of a row.
pub(super) fn device((app, owner, client): &Row) -> Result<DeviceKey, IdError> {
    Ok(DeviceKey {
        app: AppKey::parse(app)?,
        owner: match owner.strip_prefix("user:") {
            Some(user) => Owner::User(Username::parse(user)?),
            None if owner == "device" => Owner::Device,
            None => Owner::Anonymous,
        },
        client_id: ClientId::parse(client)?,
    })
}

/// Notes that a device is here, or no longer.
pub(super) async fn set(
    database: &Database,
    device: &DeviceKey,
    online: bool,
) -> Result<(), sqlx::Error> {
    let owner = match &device.owner {
        Owner::Device => "device".to_owned(),
        Owner::User(user) => format!("user:{user}"),
        Owner::Anonymous => "anonymous".to_owned(),
        // It has no presence.
        Owner::Server => return Ok(()),
    };
    let device = device.clone();
    let note = Note {
        device,
        owner,
        online,
    };
    database.write(note).await
}

struct Note {
    device: DeviceKey,
    owner: String,
    online: bool,
}

#[async_trait]
impl WriteJob for Note {
    type Output = ();

    async fn run(&mut self, tx: &mut WriteTx<'_>) -> Result<(), sqlx::Error> {
        let query = if self.online {
            "INSERT INTO presence_online (app, owner, client) VALUES ($1, $2, $3)
             ON CONFLICT DO NOTHING"
        } else {
            "DELETE FROM presence_online WHERE app = $1 AND owner = $2 AND client = $3"
        };
        let (app, client) = (self.device.app.as_str(), self.device.client_id.as_str());
        match tx {
            WriteTx::Sqlite(connection) => {
                let query = sqlx::query(query).bind(app).bind(&self.owner).bind(client);
                query.execute(&mut **connection).await?;
            }
            WriteTx::Postgres(connection) => {
                let query = sqlx::query(query).bind(app).bind(&self.owner).bind(client);
                query.execute(&mut **connection).await?;
            }
        }
        Ok(())
    }
}
