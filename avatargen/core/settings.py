"""The whole configuration as frozen dataclasses: each stage's section, its defaults, one reason each.

`confs/base.conf` holds the same defaults for a reader; a test keeps the two equal. Files and `--set`
change single keys through the strict loader in `avatargen.core.config`.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class BodySettings:
    """Which skinned human."""

    kind: str = "open"
    """open | smpl | smplx"""
    gender: str = "neutral"
    """neutral | male | female; of an SMPL or SMPL-X file"""
    folder: str = "smpl_models"
    """Where the user's licensed files are."""


@dataclass(frozen=True, kw_only=True)
class ControlsSettings:
    """The body in numbers; each overrides what the shape text says, null leaves it to the text."""

    height: float | None = None
    """Metres, 1.3 to 2.2."""
    weight_kg: float | None = None
    """Kilograms, 30 to 200; of the body's volume at 1,010 kg/m3."""
    age: float | None = None
    """0 a teenager, 1/3 a young adult, 1 old; open body only."""
    gender: float | None = None
    """0 male, 1 female; open body only (an SMPL file's: body.gender)."""
    muscle: float | None = None
    """0 weak, 1 strong; open body only."""


@dataclass(frozen=True, kw_only=True)
class GuidanceSettings:
    """What "looks like the text" means."""

    model: str = "auto"
    """auto | embedded | clip:ViT-B/32 | openclip:NAME:PRETRAINED; several, weighted: clip:RN50*0.7+embedded*0.3"""
    weights: str = ""
    """A local weight file for clip or openclip: state dict, TorchScript archive or safetensors; several by commas."""
    image: str = ""
    """A picture of what the figure should look like, along with the words or instead of them."""
    face_image: str = ""
    """A picture for the views of the face alone."""
    image_weight: float = 0.5
    """Share of pictures beside the words, 0..1; 1 where there are no words."""
    vocabulary: str = ""
    """CLIP's bpe_simple_vocab_16e6.txt.gz; empty: beside the weights or in an installed clip package."""
    download: bool = True
    """Fetch OpenAI's files where they are missing and there is a network (also off with AVATARGEN_OFFLINE=1)."""


@dataclass(frozen=True, kw_only=True)
class ShapeSettings:
    """Text to coarse body."""

    from_appearance: bool = True
    """Words of the appearance that name a build ("an old woman") shape the body where the shape text does not."""
    query: str = "search"
    """search | codebook_only (one best entry, as the original does)"""
    codebook_size: int = 256
    """Bodies to compare the text with (2048 at most); seen once per guidance, about 0.15 s each, then kept."""
    views: int = 4
    """Pictures of each body: front, three-quarter, side, back, in this order."""
    blend: int = 8
    """How many of the best entries are averaged before refinement."""
    refine_steps: int = 12
    """Bodies tried near the best one; kept only where the score rises."""
    strength: float = 1.0
    """How far from the average person the text may go; 0 is the average, 1 as found."""


@dataclass(frozen=True, kw_only=True)
class PictureSettings:
    """What the guidance is shown in each step, and what it is told; each part can be switched off."""

    kinds: tuple[str, ...] = ()
    """Views in the order in which steps take them: body, back, upper, face, lower, hands, feet; empty: all, in turn."""
    wording: str = "auto"
    """auto | render | plain | paint | original: how texts are worded; auto: what suits the model."""
    templates: tuple[str, ...] = ()
    """Wordings of your own, as "view: words around {}"; a view without one keeps its usual words."""
    view_words: bool = True
    """Each view is told in its own words ("the back of ..."); false: all as a whole body."""
    negative: tuple[str, ...] = ()
    """What pictures should not look like."""
    negative_weight: float = 0.3
    """Of the similarity to those texts, down to none at all."""
    backgrounds: tuple[str, ...] = ()
    """Drawn at random: white, black, grey, noise, checker; empty: what suits the model."""
    light: str = "gentle"
    """gentle | harsh | none: random light on colors, mostly ambient or hardly (as the original); none: flat colors."""
    crop: float = 1.0
    """Smallest share of a picture's side that a random crop keeps; 1: no crops."""
    perspective: float = 0.0
    """How far, in shares of the side, corners of pictures are moved at random; 0: they stay."""


@dataclass(frozen=True, kw_only=True)
class OriginalSettings:
    """AvatarCLIP's own recipe, for `implicit.method = original`; the defaults are its large configuration's."""

    width: int = 256
    """Of the distance network's layers."""
    layers: int = 4
    """Hidden layers of the distance network."""
    skip: tuple[int, ...] = (4,)
    """Layers whose input is joined by the encoded point."""
    octaves: int = 6
    """Of the frequency encoding."""
    radius: float = 0.5
    """Of the sphere that a new distance network is."""
    color_width: int = 256
    """Of the color network's layers."""
    color_layers: int = 2
    """Hidden layers of the color network."""
    variance: float = 0.3
    """A new field's sharpness is exp(10 times this), in the unit frame; used by the template `render`."""
    uniform: int = 32
    """Samples spread evenly along each ray."""
    importance: int = 32
    """Samples added where the surface seems to be."""
    rounds: int = 4
    """Rounds in which they are added, each twice as sharp as the one before."""
    perturb: bool = True
    """Shift the even samples of each ray at random."""
    gradient: str = "twice"
    """twice | sweep: the distance's gradient from a second pass through the network, or in one sweep with the first."""
    max_rays: int = 12544
    """Rays per picture at most: pictures are as large as this allows."""
    silhouettes: bool = True
    """Rays only where the coarse body is, or within ten pixels of it."""
    face_every: int = 4
    """One picture of so many shows the face; 0: none does."""
    head_height: float = 0.0
    """Where face pictures look, in the unit frame; 0: at this body's head."""
    template: str = "distance"
    """distance | render: learn the coarse body from its distances, or from 108 renders as the original."""
    template_steps: int = 3000
    """Steps of that; the original rendered 300,000."""
    template_rays: int = 5120
    """Points, or rays, per step of that."""
    template_warm_up: int = 150
    """Steps of that until its learning rate is full; the original 5,000."""
    rate: float = 0.0005
    """Adam's learning rate."""
    rate_end: float = 0.05
    """Share of it that is left at the end of the schedule."""
    warm_up: int = 500
    """Steps until it is full."""
    schedule: int = 100000
    """Steps of the schedule; the original stops after 30,010 of them."""


@dataclass(frozen=True, kw_only=True)
class ImplicitSettings:
    """Coarse body to sculpted, painted surface."""

    method: str = "band"
    """band | original: ours, or AvatarCLIP's networks, sampling and losses for comparison (presets/avatarclip.conf)"""
    steps: int = 100
    """Optimisation steps; each renders `views` pictures and moves everything once."""
    minutes: float = 0.0
    """Stop after about this many minutes, however many steps are left; 0: no limit."""
    patience: int = 100
    """Settle and stop once the score has not risen for this many steps; 0: never."""
    coarse_share: float = 0.0
    """For this share of the steps pictures have half the size, and only the coarser half of all levels learns."""
    views: int = 4
    """Pictures per step."""
    image_size: int = 0
    """Side of the pictures in pixels; 0: what the guidance looks at."""
    sculpt: str = "auto"
    """auto | on | grey | off: all pictures move the surface, or grey ones alone; auto: grey if embedded, else on."""
    supersample: int = 2
    """Where only colors are learned, pictures are drawn this many times larger and averaged."""
    samples: int = 16
    """Samples per ray, all of them in a band around the surface."""
    color_samples: int = 4
    """Places per ray at which color is looked up; a divisor of `samples`, or 0 for all of them."""
    march_steps: int = 24
    """Steps along a ray to find that band."""
    encoding: str = "band"
    """band | hash | planes: voxels near the body, voxels everywhere hashed into a table, or three planes."""
    hash_log2: int = 16
    """Rows of each hashed level, as a power of two."""
    distance_mm: float = 4.0
    """Node spacing of the body's distance grid."""
    detail_mm: float = 1.5
    """Node spacing of the finer grid around the head, which keeps eyelids and lips."""
    shape_levels_mm: tuple[float, ...] = (64.0, 32.0, 16.0)
    """Cell sizes of the geometry's levels."""
    color_levels_mm: tuple[float, ...] = (48.0, 24.0, 12.0, 6.0)
    """Cell sizes of the color's levels; the finest sets how crisp borders are."""
    fine_gain: float = 0.75
    """Each finer level of color moves this much less than the one above it."""
    features: int = 6
    """Shared features of the two color heads; at least 6."""
    mirror: bool = True
    """Left and right share what the levels learn; body parts keep a code of their own side."""
    growth: float = 1.0
    """Factor on how far the surface may leave each body part."""
    gradient: str = "differences"
    """differences | exact: of the distance, for normals; finite, and so smooth, or of the interpolated values."""
    normal_mm: float = 6.0
    """Reach of the finite differences that give normals."""
    sharpness: float = 600.0
    """NeuS' s in 1/m at the start; its inverse is the softness of outlines."""
    shape_rate: float = 0.0006
    """Learning rate of the geometry, metres per step and level."""
    color_rate: float = 0.15
    """Learning rate of the colors, logits per step and level."""
    textured_weight: float = 1.0
    """Similarity of textured pictures to the text."""
    textureless_weight: float = 0.5
    """Similarity of grey pictures to the text."""
    textureless_every: int = 2
    """Grey pictures are drawn in one of this many steps; 0: never."""
    direction_weight: float = 0.1
    """Change from the plain body along the change of the text: keeps what the text does not name."""
    base_weight: float = 1.0
    """Reconstruction head against the body's own look."""
    mask_weight: float = 0.2
    """Silhouette against the coarse body's."""
    eikonal_weight: float = 1.0
    """Gradient length one within 8 mm of the surface, so that the field stays a distance there."""
    smooth_weight: float = 0.2
    """Color differences between neighbouring points of the body."""
    smooth_left: float = 1.0
    """Share of `smooth_weight` that is left at the last step; it falls evenly on a log scale."""
    bend_weight: float = 0.5
    """Roughness (curvature) of the growth."""
    bend_left: float = 1.0
    """Share of `bend_weight` that is left at the last step."""
    relief: float = 1.0
    """Painted clothes and hair stand off the body by this many times their usual height; 0: paint stays flat."""
    outfit: bool = True
    """Skirts, capes, hats, hair, beards and armour that the text names get a shape; false: they stay paint."""
    patterns: bool = True
    """Stripes, checks, plaid, dots and camouflage that the text names are laid on plain clothes in the end."""
    plain_weight: float = 0.003
    """Pull of colors towards the body's own look."""
    checkpoint_every: int = 50
    """Steps between two checkpoints; 0: none."""
    pictures: PictureSettings = field(default_factory=PictureSettings)
    original: OriginalSettings = field(default_factory=OriginalSettings)


@dataclass(frozen=True, kw_only=True)
class MeshSettings:
    """Field to a mesh that a game engine accepts."""

    voxel_mm: float = 4.0
    """Grid spacing of marching cubes on the body."""
    head_mm: float = 2.0
    """Grid spacing around the head."""
    hand_mm: float = 2.5
    """Grid spacing around the hands."""
    reach_mm: float = 90.0
    """Nothing is looked for farther than this from the coarse body."""
    smoothing: int = 2
    """Rounds of smoothing before faces are taken away; 0: none."""
    faces: int = 20000
    """About how many triangles the mesh may have (`--faces`); the template topology keeps its own."""
    topology: str = "scan"
    """scan | template: the extracted surface, or the body's own mesh, UVs and weights moved onto it."""
    lods: int = 0
    """Levels of detail beside the full one (`avatar_lod1.glb`, ...): each has half the triangles of the one before."""
    texture_size: int = 2048
    """Side of the texture in pixels."""
    padding: int = 4
    """Pixels between two charts of the atlas."""
    normal_map: bool = False
    """Bake what the decimated mesh lost of the surface into a normal map; for GLB, VRM, OBJ and Blender's formats."""
    occlusion: bool = False
    """Bake how much of the sky each place sees within 12 cm (ambient occlusion); for GLB and VRM."""
    face_gain: float = 1.8
    """The head gets this many times more texels per metre than the body; head and hands keep more faces."""


@dataclass(frozen=True, kw_only=True)
class RefineSettings:
    """Second stage, on the finished mesh: texture and vertices under the same guidance."""

    steps: int = 12
    """Optimisation steps; each draws `views` pictures. 0: borders are cut, if `crisp` says so, and nothing else."""
    minutes: float = 0.0
    """Stop after about this many minutes, however many steps are left; 0: no limit."""
    views: int = 4
    """Pictures per step."""
    image_size: int = 512
    """Side of the pictures in pixels; the guidance averages them down to its own size."""
    crisp: float = 1.0
    """Cut the borders between plain regions, which the field can only spray: 0 not at all, 1 wholly."""
    detail: str = "auto"
    """auto | on | off: single texels and vertices move too; auto: off if embedded, which would paint noise."""
    cells_mm: tuple[float, ...] = (12.0, 6.0, 3.0)
    """Cells in which texels move together, coarse to fine."""
    offset_mm: float = 2.0
    """Vertices move at most this far outward, a quarter of it inward; hands hardly, the face not."""
    color_rate: float = 0.05
    """Learning rate of paints and texels, logits per step and level."""
    shape_rate: float = 0.0001
    """Learning rate of vertices, metres per step."""
    keep_weight: float = 0.005
    """Pull of paints and texels to where they started."""
    smooth_weight: float = 1.0
    """Roughness of the vertices' ways."""
    checkpoint_every: int = 6
    """Steps between two checkpoints; 0: none."""


@dataclass(frozen=True, kw_only=True)
class MotionSettings:
    """Text to motion."""

    seconds: float = 2.0
    """Length of the motion, 1 to 10."""
    fps: float = 30.0
    """Frames a second of the result; the model itself runs at 30."""
    loop: bool = False
    """Make the last frame lead to the first; poses go on, and so does travel."""
    in_place: bool = False
    """Take the way over the floor out, for engines that move the character themselves; feet slide as on a treadmill."""
    prior: str = "open"
    """open | vposer: which pose prior draws the candidates; the latter reads the user's file in `motion.vposer`"""
    vposer: str = "smpl_models/vposer"
    """The folder with the user's VPoser v2.0 weights."""
    codebook_entries: int = 1024
    """How many poses are scored; at most what the codebook holds."""
    codebook_views: int = 2
    """Views per pose; the mean of their features is scored."""
    candidates: str = "codebook"
    """codebook | latent | theta | realnvp: how poses that fit the text are found; the last three draw by the seed"""
    top_k: int = 5
    """Poses the motion shall pass through, best first."""
    candidate_steps: int = 60
    """Steps of the generators latent and theta."""
    candidate_rate: float = 0.05
    """Adam's rate in them."""
    flow_samples: int = 48
    """Poses that the generator realnvp draws and has the guidance look at."""
    pre_top: int = 40
    """Best poses among which near-duplicates are dropped."""
    duplicate: float = 0.07
    """Mean absolute difference (radians) below which two poses count as one."""
    sequence: str = "search"
    """search | interpolation: turn motions toward the text, or only go from pose to pose (a baseline)"""
    losses: str = "ours"
    """ours | original: AvatarCLIP's loss, from one random latent; its recipe had 5,000 steps at a rate of 0.01"""
    starts: int = 12
    """Motions optimised in one batch; the best is kept."""
    prior_starts: int = 1
    """How many of them are drawn from the prior instead of the motion codebook."""
    shortlist: int = 32
    """Motions of the codebook, best by their words, whose key frames the guidance looks at."""
    steps: int = 80
    """Steps of the latent optimisation."""
    latent_rate: float = 0.02
    """Adam's rate on the latents, which are of size one."""
    variety: float = 0.6
    """How far seeds differ: which of about equally good motions is taken, its form and its timing; 0: hardly."""
    phrase_weight: float = 1.0
    """Of the guidance's text-to-text score when motions are ranked."""
    word_weight: float = 4.0
    """Of plainly shared words (punching, punch) when motions are ranked."""
    image_weight: float = 0.3
    """Of the guidance's picture score when motions are ranked and when the best is kept."""
    pose_weight: float = 0.5
    """Pull of the candidate poses."""
    intensity: float = 1.0
    """How lively: joints move this many times as fast, by swinging farther and sooner."""
    intensity_weight: float = 0.5
    """Pull of the search towards the mean joint speed that each motion starts with."""
    guidance_weight: float = 0.05
    """Of one minus the cosine between pictures and text."""
    guidance_every: int = 5
    """Steps between two looks of the guidance; 0: never."""
    guidance_frames: int = 4
    """Frames per look."""
    prior_weight: float = 2.0
    """Pull of the latents back to where they started."""
    slide_weight: float = 0.3
    """Against standing feet that move."""
    smooth_weight: float = 0.05
    """Against sudden changes of acceleration."""
    floor_weight: float = 2.0
    """Against joints below the floor."""
    score_frames: int = 6
    """Frames on which starts are compared."""
    score_views: int = 1
    """Views per compared frame."""
    weights: str = ""
    """A folder with pose_prior, motion_vae, pose_codebook and motion_codebook of one's own; empty: the shipped ones."""


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """Credit that goes into the files."""

    author: str = ""
    """Whose character it is; into `asset` of GLB, and VRM's authors."""
    copyright: str = ""
    """E.g. "2026 A. Maker"; into `asset` of GLB, and VRM."""
    licence: str = ""
    """Of the character; empty: that of the body it was made from."""


@dataclass(frozen=True, kw_only=True)
class VideoSettings:
    """Pictures and videos."""

    width: int = 1280
    """Of a video, in pixels; even."""
    height: int = 720
    """Of a video, in pixels; even."""
    fps: int = 30
    """Of the turntable; a motion keeps its own."""
    max_fps: int = 30
    """A faster motion is shown with fewer frames, at its own speed."""
    turntable_seconds: float = 3.0
    """For one turn."""
    supersample: int = 2
    """Draw this many times larger along each side, then average."""
    crf: int = 18
    """H.264 quality: 0 is lossless, 18 looks so, 28 is small."""
    process: bool = False
    """Also a film of how the avatar came to be: coarse body, sculpted, painted, refined (`--process-video`)."""
    textureless: bool = False
    """Each video also in grey clay (`turntable_textureless.mp4`)."""
    png_sequence: bool = False
    """Each video also as PNG frames of the figure alone on a transparent ground (`turntable_frames/0000.png`)."""
    gif: bool = False
    """Each video also as a GIF, 480 pixels wide, 15 frames a second."""
    preview_width: int = 1600
    """Of preview.png, in pixels."""
    workers: int = 0
    """Threads that draw frames; 0 takes the machine's cores, at most four."""


@dataclass(frozen=True, kw_only=True)
class ConditionSettings:
    """Condition maps for image models, in the run's `controls` folder."""

    write: bool = False
    """Whether they are made (`--controls`)."""
    views: int = 4
    """Cameras around the avatar, the first in front."""
    size: int = 512
    """Side of the maps in pixels."""
    every: int = 1
    """One frame of this many of the motion; without a motion the A-pose is the only frame."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that decides a result, besides the texts."""

    seed: int = 0
    device: str = "auto"
    """auto | cpu | cuda"""
    characters: str = ""
    """A file of your own with names and their visual words, laid out as confs/characters.conf."""
    body: BodySettings = field(default_factory=BodySettings)
    controls: ControlsSettings = field(default_factory=ControlsSettings)
    guidance: GuidanceSettings = field(default_factory=GuidanceSettings)
    shape: ShapeSettings = field(default_factory=ShapeSettings)
    implicit: ImplicitSettings = field(default_factory=ImplicitSettings)
    mesh: MeshSettings = field(default_factory=MeshSettings)
    refine: RefineSettings = field(default_factory=RefineSettings)
    motion: MotionSettings = field(default_factory=MotionSettings)
    export: ExportSettings = field(default_factory=ExportSettings)
    video: VideoSettings = field(default_factory=VideoSettings)
    conditions: ConditionSettings = field(default_factory=ConditionSettings)
