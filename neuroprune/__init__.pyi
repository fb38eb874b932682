"""The public API: every name below is imported from `neuroprune`, whatever room it lives in."""

from .checking.check import (
    check as check,
    check_program as check_program,
)
from .checking.schema import (
    Check as Check,
)
from .checking.table import (
    render_check as render_check,
)
from .chips.catalog import (
    FAMILIES as FAMILIES,
)
from .chips.chip import (
    Chip as Chip,
    Fact as Fact,
)
from .chips.family import (
    Family as Family,
    number as number,
)
from .chips.load import (
    list_chips as list_chips,
    load_chip as load_chip,
)
from .chips.receptive_field import (
    receptive_field as receptive_field,
)
from .chips.senders import (
    Senders as Senders,
    nonzero_senders as nonzero_senders,
)
from .chips.synapse_counts import (
    count_synapses as count_synapses,
)
from .chips.tables import (
    ChipTables as ChipTables,
)
from .chips.types import (
    Reader as Reader,
    Resource as Resource,
    Tile as Tile,
    TileCounter as TileCounter,
    TileResources as TileResources,
)
from .compression.channels import (
    ChannelGroup as ChannelGroup,
)
from .compression.compress import (
    compress as compress,
    resume_compress as resume_compress,
)
from .compression.job import (
    PruningJob as PruningJob,
)
from .compression.pruning import (
    ChannelPruning as ChannelPruning,
    WeightPruning as WeightPruning,
)
from .compression.result import (
    CompressResult as CompressResult,
)
from .compression.search import (
    Selection as Selection,
)
from .compression.settings import (
    CompressSettings as CompressSettings,
)
from .compression.strategy import (
    Strategy as Strategy,
)
from .compression.weights import (
    PrunableWeight as PrunableWeight,
)
from .data.catalog import (
    DatasetInfo as DatasetInfo,
    list_datasets as list_datasets,
)
from .data.coding import (
    CodedFrames as CodedFrames,
    frames_of as frames_of,
)
from .data.hold_out import (
    hold_out as hold_out,
)
from .data.load import (
    describe_dataset as describe_dataset,
    load_dataset as load_dataset,
)
from .data.normalisation import (
    with_normalisation as with_normalisation,
)
from .data.subset import (
    Subset as Subset,
    take_samples as take_samples,
    take_subset as take_subset,
)
from .data.types import (
    Augmentation as Augmentation,
    Coding as Coding,
    Dataset as Dataset,
    Origin as Origin,
    Split as Split,
    make_dataset as make_dataset,
)
from .deployment import (
    Deployment as Deployment,
    UnverifiedDeployment as UnverifiedDeployment,
)
from .errors import (
    CapacityError as CapacityError,
    GateFailed as GateFailed,
    InputError as InputError,
    LavaError as LavaError,
    NeuropruneError as NeuropruneError,
    OutputError as OutputError,
    TrialsFailed as TrialsFailed,
    UnsupportedNetwork as UnsupportedNetwork,
    VerificationError as VerificationError,
)
from .exchange.catalog import (
    FormatInfo as FormatInfo,
)
from .exchange.format import (
    ExchangeFormat as ExchangeFormat,
    Programs as Programs,
    ReadProgram as ReadProgram,
    exchange_formats as exchange_formats,
    read_program as read_program,
    write_program as write_program,
)
from .experiment.plan import (
    Plan as Plan,
    list_plans as list_plans,
    load_plan as load_plan,
)
from .experiment.record import (
    TrialRecord as TrialRecord,
)
from .experiment.run import (
    run_experiment as run_experiment,
)
from .experiment.summary import (
    Group as Group,
    summarise as summarise,
)
from .files import (
    replace_file as replace_file,
)
from .fixed_point import (
    LARGEST_STATE as LARGEST_STATE,
    STATE_SHIFT as STATE_SHIFT,
    IntegerRules as IntegerRules,
)
from .graph.float_program import (
    FloatConnection as FloatConnection,
    FloatConv as FloatConv,
    FloatDense as FloatDense,
    FloatInput as FloatInput,
    FloatLayer as FloatLayer,
    FloatProgram as FloatProgram,
)
from .graph.fold import (
    fold as fold,
)
from .graph.nodes import (
    Graph as Graph,
    Readout as Readout,
)
from .graph.readout import (
    accuracy as accuracy,
    class_scores as class_scores,
)
from .graph.trace import (
    trace as trace,
)
from .intervals import (
    difference_interval as difference_interval,
    share_interval as share_interval,
)
from .mapping.budget import (
    Budget as Budget,
)
from .mapping.map import (
    map_program as map_program,
)
from .mapping.tables import (
    core_tables as core_tables,
)
from .mapping.types import (
    ChipMapping as ChipMapping,
    Core as Core,
)
from .networks.batchnorm import (
    reestimate_batchnorm as reestimate_batchnorm,
)
from .networks.build import (
    build as build,
    load_network as load_network,
)
from .networks.legacy.imports import (
    imports_as as imports_as,
)
from .networks.probing import (
    present as present,
)
from .networks.recipe import (
    Recipe as Recipe,
    list_recipes as list_recipes,
    load_recipe as load_recipe,
)
from .neurons.catalog import (
    neuron_models as neuron_models,
)
from .neurons.cuba_lif import (
    CubaLif as CubaLif,
    IntCubaLif as IntCubaLif,
)
from .neurons.model import (
    FloatNeuron as FloatNeuron,
    IntegerRun as IntegerRun,
    Interval as Interval,
    IntNeuron as IntNeuron,
    NeuronModel as NeuronModel,
    NeuronRounding as NeuronRounding,
    OnnxStep as OnnxStep,
    RegisterBound as RegisterBound,
    Registers as Registers,
    State as State,
    WorstDrive as WorstDrive,
)
from .pipeline import (
    Tuning as Tuning,
    deploy as deploy,
    deploy_program as deploy_program,
)
from .program.bounds import (
    layer_bounds as layer_bounds,
)
from .program.dequantize import (
    dequantize as dequantize,
)
from .program.frames import (
    quantize_input as quantize_input,
)
from .program.timing import (
    balance as balance,
)
from .program.types import (
    IntBias as IntBias,
    IntConnection as IntConnection,
    IntConv as IntConv,
    IntDense as IntDense,
    IntInput as IntInput,
    IntLayer as IntLayer,
    IntProgram as IntProgram,
)
from .progress import (
    Progress as Progress,
)
from .quantization.bits import (
    Bits as Bits,
    parse_bits as parse_bits,
)
from .quantization.errors import (
    rounding_errors as rounding_errors,
)
from .quantization.qat import (
    QatSettings as QatSettings,
    finetune_quantised as finetune_quantised,
)
from .quantization.quantize import (
    quantize as quantize,
)
from .report.measure import (
    measure as measure,
)
from .report.provenance import (
    CodingFacts as CodingFacts,
    Provenance as Provenance,
)
from .report.schema import (
    LavaCheck as LavaCheck,
    Report as Report,
    load_report as load_report,
    save_report as save_report,
)
from .report.terminal import (
    render as render,
)
from .report.zeros import (
    map_zeros_stored as map_zeros_stored,
)
from .simulation.compare import (
    compare as compare,
)
from .simulation.cores import (
    run_cores as run_cores,
)
from .simulation.engine import (
    record as record,
    simulate as simulate,
)
from .simulation.floats import (
    run_float as run_float,
    run_layers as run_layers,
    run_module as run_module,
)
from .simulation.ladder import (
    Accuracies as Accuracies,
    accuracy_ladder as accuracy_ladder,
    changed_spikes as changed_spikes,
)
from .simulation.lava import (
    record_with_lava as record_with_lava,
)
from .simulation.module_check import (
    verify_module as verify_module,
)
from .simulation.reference import (
    run_reference as run_reference,
)
from .simulation.types import (
    Record as Record,
    Trace as Trace,
)
from .simulation.verification import (
    LavaSettings as LavaSettings,
)
from .training.checkpoint import (
    Checkpoint as Checkpoint,
    DataFacts as DataFacts,
    WeightsFacts as WeightsFacts,
    facts_of as facts_of,
    load_checkpoint as load_checkpoint,
    restore as restore,
    save_checkpoint as save_checkpoint,
)
from .training.imported import (
    ImportResult as ImportResult,
    import_network as import_network,
)
from .training.loss import (
    RATE_SCALE as RATE_SCALE,
)
from .training.observer import (
    Observer as Observer,
    ObserverState as ObserverState,
    Step as Step,
    TrainingRun as TrainingRun,
)
from .training.settings import (
    TrainSettings as TrainSettings,
    fine_tuning_of as fine_tuning_of,
    settings_of as settings_of,
)
from .training.train import (
    TrainResult as TrainResult,
    train as train,
)
from .training.weights import (
    LoadedWeights as LoadedWeights,
    load_weights as load_weights,
)
from .version import __version__ as __version__
