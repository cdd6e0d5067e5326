// The viewer of a run's page: three.js (from trimesh's own viewer) shows avatar.glb, which is in the page itself.
(function () {
  "use strict";
  const box = document.getElementById("viewer"), say = document.getElementById("say");
  const at = (id) => document.getElementById(id);
  function fail(why) { say.textContent = why; }
  if (!window.THREE || !THREE.GLTFLoader) return fail("The 3D view is missing from this page; avatar.glb opens in any viewer.");

  let renderer;
  try {
    renderer = new THREE.WebGLRenderer({ antialias: true, alpha: true });
  } catch (error) {
    return fail("This browser shows no 3D (WebGL is off); the videos below show the avatar.");
  }
  renderer.outputEncoding = THREE.sRGBEncoding;
  renderer.shadowMap.enabled = true;
  renderer.shadowMap.type = THREE.PCFSoftShadowMap;
  renderer.setPixelRatio(Math.min(window.devicePixelRatio || 1, 2));
  box.prepend(renderer.domElement);
  const canvas = renderer.domElement;
  canvas.tabIndex = 0;
  canvas.setAttribute("aria-label", "The avatar. Drag to turn, scroll to come nearer, shift and drag to move, arrow keys turn.");

  const scene = new THREE.Scene(), camera = new THREE.PerspectiveCamera(30, 1, 0.05, 100);
  scene.add(new THREE.HemisphereLight(0xffffff, 0xa89b88, 0.6));
  const sun = new THREE.DirectionalLight(0xfff4e4, 0.55);
  sun.position.set(2, 4.5, 3);
  sun.castShadow = true;
  sun.shadow.mapSize.set(1024, 1024);
  Object.assign(sun.shadow.camera, { left: -2.5, right: 2.5, top: 2.5, bottom: -2.5, near: 0.5, far: 12 });
  sun.shadow.bias = -0.0006;
  sun.shadow.normalBias = 0.01;
  sun.shadow.radius = 5;
  scene.add(sun, sun.target);
  const rim = new THREE.DirectionalLight(0xdfe8ff, 0.2);
  rim.position.set(-3, 2.5, -3);
  scene.add(rim);
  const floor = new THREE.Mesh(new THREE.PlaneGeometry(40, 40), new THREE.ShadowMaterial({ opacity: 0.28 }));
  floor.rotation.x = -Math.PI / 2;
  floor.receiveShadow = true;
  const grid = new THREE.GridHelper(10, 20, 0x8f887b, 0xa9a296);
  grid.material.transparent = true;
  grid.material.opacity = 0.55;
  scene.add(floor, grid);

  // Orbit: yaw and pitch about a target that follows the avatar's hips.
  const view = { yaw: 0.45, pitch: 0.12, far: 4, pan: new THREE.Vector3(), target: new THREE.Vector3(0, 0.9, 0) };
  function placeCamera() {
    const flat = Math.cos(view.pitch) * view.far, look = view.target.clone().add(view.pan);
    camera.position.set(Math.sin(view.yaw) * flat, Math.sin(view.pitch) * view.far, Math.cos(view.yaw) * flat).add(look);
    camera.position.y = Math.max(camera.position.y, 0.03);
    camera.lookAt(look);
  }
  const turn = (dx, dy) => {
    view.yaw -= dx;
    view.pitch = Math.min(1.5, Math.max(-0.35, view.pitch + dy));
  };
  const zoom = (factor) => { view.far = Math.min(30, Math.max(0.4, view.far * factor)); };
  const fingers = new Map();
  canvas.addEventListener("pointerdown", (e) => { canvas.setPointerCapture(e.pointerId); fingers.set(e.pointerId, e); });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (e) => fingers.delete(e.pointerId));
  canvas.addEventListener("pointermove", (e) => {
    const before = fingers.get(e.pointerId);
    if (!before) return;
    const dx = e.clientX - before.clientX, dy = e.clientY - before.clientY;
    if (fingers.size === 2) {
      const other = [...fingers.values()].find((f) => f.pointerId !== e.pointerId);
      const span = (f) => Math.hypot(f.clientX - other.clientX, f.clientY - other.clientY) || 1;
      zoom(span(before) / span(e));
    } else if (e.shiftKey || e.buttons > 1) {
      const scale = view.far * 0.0011;
      view.pan.add(new THREE.Vector3(-dx * scale * Math.cos(view.yaw), dy * scale, dx * scale * Math.sin(view.yaw)));
    } else turn(dx * 0.008, dy * 0.006);
    fingers.set(e.pointerId, e);
  });
  canvas.addEventListener("wheel", (e) => { e.preventDefault(); zoom(Math.exp(e.deltaY * 0.001)); }, { passive: false });
  canvas.addEventListener("contextmenu", (e) => e.preventDefault());
  canvas.addEventListener("keydown", (e) => {
    const key = { ArrowLeft: () => turn(0.15, 0), ArrowRight: () => turn(-0.15, 0), ArrowUp: () => turn(0, 0.1),
      ArrowDown: () => turn(0, -0.1), "+": () => zoom(0.9), "-": () => zoom(1.1), " ": () => play(!state.playing) }[e.key];
    if (key) { e.preventDefault(); key(); }
  });
  canvas.addEventListener("dblclick", () => view.pan.set(0, 0, 0));

  const state = { playing: true, time: 0, action: null, mixer: null, hips: null, meshes: [] };
  const clay = new THREE.MeshStandardMaterial({ color: 0xc9c4bb, roughness: 0.75, metalness: 0 });
  function press(id, on) { at(id).setAttribute("aria-pressed", String(on)); }
  function play(on) {
    state.playing = on;
    at("play").textContent = on ? "Pause" : "Play";
  }
  function seek(time) {
    if (!state.action) return;
    const length = state.action.getClip().duration || 1;
    state.time = ((time % length) + length) % length;
    state.mixer.setTime(state.time);
    at("time").value = String(state.time / length);
  }
  function choose(clip) {
    state.mixer.stopAllAction();
    state.action = clip ? state.mixer.clipAction(clip) : null;
    if (state.action) state.action.reset().play();
    else for (const mesh of state.meshes) if (mesh.skeleton) mesh.skeleton.pose();
    for (const id of ["play", "time"]) at(id).disabled = !clip;
    seek(0);
  }
  function dress() {
    const bare = at("clay").getAttribute("aria-pressed") === "true", wires = at("wire").getAttribute("aria-pressed") === "true";
    for (const mesh of state.meshes) {
      mesh.material = bare ? clay : mesh.userData.own;
      mesh.material.wireframe = wires;
    }
  }
  function frame(seconds) {
    if (state.playing && state.action) seek(state.time + seconds);
    scene.updateMatrixWorld();
    if (state.hips) {
      const where = new THREE.Vector3().setFromMatrixPosition(state.hips.matrixWorld);
      const share = 1 - Math.exp(-5 * seconds);
      view.target.x += (where.x - view.target.x) * share;
      view.target.z += (where.z - view.target.z) * share;
      sun.target.position.set(where.x, 0.9, where.z);
      sun.position.set(where.x + 2, 4.5, where.z + 3);
    }
    const wide = box.clientWidth, tall = canvas.clientHeight;
    if (wide && tall && (canvas.width !== Math.round(wide * renderer.getPixelRatio()) || camera.userData.tall !== tall)) {
      renderer.setSize(wide, tall, false);
      camera.aspect = wide / tall;
      camera.userData.tall = tall;
      camera.updateProjectionMatrix();
    }
    placeCamera();
    renderer.render(scene, camera);
  }
  let last = 0;
  function loop(now) {
    frame(Math.min(0.1, (now - last) / 1000));
    last = now;
    requestAnimationFrame(loop);
  }

  function shown(gltf) {
    gltf.scene.traverse((node) => {
      if (!node.isMesh) return;
      node.userData.own = node.material;
      node.castShadow = node.receiveShadow = true;
      node.frustumCulled = false; // bones carry it out of its box
      if (node.isSkinnedMesh && !state.hips) state.hips = node.skeleton.bones[0];
      if (node.material.map) node.material.map.anisotropy = renderer.capabilities.getMaxAnisotropy();
      state.meshes.push(node);
    });
    scene.add(gltf.scene);
    const size = new THREE.Box3().setFromObject(gltf.scene).getSize(new THREE.Vector3());
    view.target.y = size.y * 0.5;
    view.far = (size.y * 1.22) / (2 * Math.tan((camera.fov * Math.PI) / 360));
    state.mixer = new THREE.AnimationMixer(gltf.scene);
    const clips = at("clip");
    for (const clip of gltf.animations) clips.add(new Option(clip.name || "motion"));
    clips.add(new Option("rest pose"));
    clips.onchange = () => choose(gltf.animations[clips.selectedIndex]);
    choose(gltf.animations[0]);
    at("play").onclick = () => play(!state.playing);
    at("time").oninput = () => { play(false); seek(Number(at("time").value) * state.action.getClip().duration); };
    for (const id of ["wire", "clay"]) at(id).onclick = () => { press(id, at(id).getAttribute("aria-pressed") !== "true"); dress(); };
    at("home").onclick = () => { Object.assign(view, { yaw: 0.45, pitch: 0.12 }); view.pan.set(0, 0, 0); };
    drawTexture();
    say.textContent = "";
    play(true);
    requestAnimationFrame(loop);
    box.dataset.state = "shown";
  }
  function drawTexture() {
    const sheet = at("texture"), map = state.meshes.map((mesh) => mesh.userData.own.map).find(Boolean);
    if (!sheet || !map) return;
    const image = map.image, side = Math.min(1024, image.width);
    sheet.width = side;
    sheet.height = Math.round((side * image.height) / image.width);
    sheet.getContext("2d").drawImage(image, 0, 0, sheet.width, sheet.height);
  }
  const text = atob(at("model").textContent.trim()), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  new THREE.GLTFLoader().parse(bytes.buffer, "", shown, (error) => fail("The avatar cannot be shown: " + error));
  window.avatarPage = { seek, play, state, view };
})();
