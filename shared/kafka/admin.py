"""Creating topics and telling one Kafka from another."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from shared.errors import ConfigError, TransientError
from shared.kafka.client import client_options
from shared.kafka.topic_ids import topic_ids
from shared.settings import KafkaSettings
from shared.topics import ALL, Topic


@dataclass(frozen=True, slots=True)
class ClusterView:
    """What a start needs to know of the Kafka it talks to: its id, and of each topic the partitions and the id."""

    cluster_id: str
    partitions: Mapping[str, int] = field(default_factory=dict)
    topic_ids: Mapping[str, str] = field(default_factory=dict)


@asynccontextmanager
async def admin_client(kafka: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A started admin client. Raises TransientError when Kafka cannot be reached."""
    client = AIOKafkaAdminClient(**client_options(kafka), request_timeout_ms=5_000)
    try:
        await client.start()
        yield client
    except KafkaError as error:
        raise TransientError(f"Kafka at {kafka.bootstrap_servers} does not answer: {error}") from error
    finally:
        await client.close()


async def ensure_topics(kafka: KafkaSettings, topics: Sequence[Topic] = ALL) -> None:
    """Create the topics that are missing; those that exist stay as they are.

    Raises TransientError when Kafka cannot be reached or refuses for now.
    """
    async with admin_client(kafka) as client:
        existing = set(await client.list_topics())
        wanted = [_new_topic(topic, kafka) for topic in topics if topic.name not in existing]
        if not wanted:
            return
        response = await client.create_topics(wanted)
    for name, code, *_ in response.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise TransientError(f"cannot create topic {name}: {error.__name__}")


def _new_topic(topic: Topic, kafka: KafkaSettings) -> NewTopic:
    return NewTopic(
        name=topic.name,
        num_partitions=kafka.partitions,
        replication_factor=kafka.replication_factor,
        topic_configs=topic.config,
    )


async def view_cluster(kafka: KafkaSettings, topics: Sequence[str]) -> ClusterView:
    """The cluster's id, and partitions and id of each of `topics`; topics that do not exist are missing.

    Raises TransientError when Kafka cannot be reached.
    """
    async with admin_client(kafka) as client:
        cluster = await client.describe_cluster()
        described = await client.describe_topics(list(topics))
        ids = await topic_ids(client, topics) if topics else {}
    counts = {item["topic"]: len(item["partitions"]) for item in described if not item["error_code"]}
    return ClusterView(str(cluster["cluster_id"]), counts, ids)


async def topics_ready(kafka: KafkaSettings, topics: Sequence[Topic] = ALL) -> ClusterView:
    """Check that every topic is there with the configured number of partitions; returns what was seen.

    Raises TransientError while a topic is missing, ConfigError where one has another number of partitions: the place
    of a key would differ between its writers.
    """
    view = await view_cluster(kafka, [topic.name for topic in topics])
    for topic in topics:
        count = view.partitions.get(topic.name)
        if count is None:
            raise TransientError(f"topic {topic.name} is not there yet")
        if count != kafka.partitions:
            raise ConfigError("KIZASHI_KAFKA__PARTITIONS", f"{count}, as many as topic {topic.name} has")
    return view
